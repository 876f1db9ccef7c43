from django.db import migrations, models

from django_racefree.operations import CreateJournal, RacefreeExtension

from . import OPENING

def test(name, table):
    return migrations.CreateModel(
        name,
        [
            ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("str", models.CharField(max_length=100, blank=True, null=True)),
        ],
        options={"db_table": table},
    )


def account(name, table):
    return migrations.CreateModel(
        name,
        [
            ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("balance", models.DecimalField(max_digits=12, decimal_places=2)),
        ],
        options={"db_table": table},
    )


def open_accounts(apps, schema_editor):
    for name in ["DjangoAccount", "RacefreeAccount"]:
        model = apps.get_model("thread", name)
        for _ in range(2):
            model.objects.using(schema_editor.connection.alias).create(balance=OPENING)


class Migration(migrations.Migration):
    initial = True
    operations = [
        RacefreeExtension(),
        test("DjangoTest", "test_django"),
        test("RacefreeTest", "test_racefree"),
        account("DjangoAccount", "account_django"),
        account("RacefreeAccount", "account_racefree"),
        CreateJournal("journal_racefree", "RacefreeAccount", opening=OPENING),
        migrations.RunPython(open_accounts, migrations.RunPython.noop),
    ]
