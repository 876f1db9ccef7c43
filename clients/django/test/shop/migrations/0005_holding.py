from django.db import migrations

from django_racefree.operations import CreateJournal


class Migration(migrations.Migration):
    dependencies = [("shop", "0004_nothing")]
    operations = [CreateJournal("holding", "shop.Account", held_column="held")]
