"""The two models of the thread, once for Django's own ways and once for racefree's."""

from django.db import models

from django_racefree import RacefreeManager


class Test(models.Model):
    str = models.CharField(max_length=100, blank=True, null=True)

    class Meta:
        abstract = True


class BankAccount(models.Model):
    balance = models.DecimalField(max_digits=12, decimal_places=2)

    class Meta:
        abstract = True


class DjangoTest(Test):
    class Meta:
        db_table = "test_django"


class DjangoAccount(BankAccount):
    class Meta:
        db_table = "account_django"


class RacefreeTest(Test):
    objects = RacefreeManager()

    class Meta:
        db_table = "test_racefree"


class RacefreeAccount(BankAccount):
    class Meta:
        db_table = "account_racefree"
