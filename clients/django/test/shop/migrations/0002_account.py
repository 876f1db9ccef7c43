from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_extension")]
    operations = [
        migrations.CreateModel(
            "Account",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("balance", models.DecimalField(max_digits=12, decimal_places=2)),
                ("floor", models.DecimalField(max_digits=12, decimal_places=2, null=True, db_column="Floor")),
                ("currency", models.CharField(max_length=3)),
                ("held", models.DecimalField(max_digits=12, decimal_places=2, default=0)),
            ],
        ),
    ]
