from django.db import migrations

from django_racefree.operations import CreateJournal


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_account")]
    operations = [
        CreateJournal(
            '"Odd %s journal"',
            "Account",
            min_balance_column="floor",
            must_match=["currency"],
            opening=100,
            foreign_keys=False,
        ),
    ]
