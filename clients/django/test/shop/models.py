from django.db import models

from django_racefree import RacefreeManager


class Account(models.Model):
    balance = models.DecimalField(max_digits=12, decimal_places=2)
    floor = models.DecimalField(max_digits=12, decimal_places=2, null=True, db_column="Floor")
    currency = models.CharField(max_length=3)
    held = models.DecimalField(max_digits=12, decimal_places=2, default=0)

    objects = RacefreeManager()
