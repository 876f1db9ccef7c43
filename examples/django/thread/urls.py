from django.urls import path

from . import views

urlpatterns = [
    path("", views.page),
    path("counts", views.counts),
    path("<slug:side>/get_or_create", views.get_or_create),
    path("<slug:side>/transfer_money", views.transfer_money),
]
