from django.db import migrations

from django_racefree.operations import RacefreeExtension


class Migration(migrations.Migration):
    initial = True
    operations = [RacefreeExtension()]
