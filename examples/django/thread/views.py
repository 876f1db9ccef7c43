"""The views that were asked about, each in Django's own way and in racefree's."""

from decimal import Decimal, InvalidOperation

from django.db.models import Count, Sum
from django.http import Http404, HttpResponseBadRequest, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST

from django_racefree import Accounts, InsufficientFunds

from .migrations import OPENING
from .models import DjangoAccount, DjangoTest, RacefreeAccount, RacefreeTest

TESTS = {"django": DjangoTest, "racefree": RacefreeTest}
ACCOUNTS = {"django": DjangoAccount, "racefree": RacefreeAccount}

bank = Accounts(RacefreeAccount, journal="journal_racefree")


@require_GET
@ensure_csrf_cookie
def page(request):
    return render(request, "thread/page.html")


@require_POST
def get_or_create(request, side):
    """Answer with the text and the row's id."""
    model = side_of(TESTS, side)
    try:
        obj, created = model.objects.get_or_create(str=request.POST.get("str"))
    except model.MultipleObjectsReturned as error:
        return JsonResponse({"error": str(error)}, status=409)
    return JsonResponse({"str": obj.str, "id": obj.pk, "created": created})


@require_POST
def transfer_money(request, side):
    """Move an amount between two accounts."""
    model = side_of(ACCOUNTS, side)
    try:
        from_id, to_id = int(request.POST["from"]), int(request.POST["to"])
        amount = Decimal(request.POST["amount"])
    except (KeyError, ValueError, InvalidOperation):
        return HttpResponseBadRequest()

    if side == "racefree":
        try:
            bank.transfer(from_id, to_id, amount)
        except InsufficientFunds as error:
            return JsonResponse({"error": str(error)}, status=409)
        return JsonResponse({})

    # As it was written in the thread.
    from_account = model.objects.get(pk=from_id)
    to_account = model.objects.get(pk=to_id)
    from_account.balance -= amount
    to_account.balance += amount
    from_account.save()
    to_account.save()
    return JsonResponse({})


@require_GET
def counts(request):
    """Answer with what there is: rows, duplicates and money of each side."""
    result = {}
    for side, model in TESTS.items():
        texts = model.objects.values("str").annotate(rows=Count("pk"))
        rows = [text["rows"] for text in texts]
        accounts = ACCOUNTS[side].objects.order_by("pk")
        result[side] = {
            "rows": sum(rows),
            "duplicates": sum(rows) - len(rows),
            "balances": [str(account.balance) for account in accounts],
            "off_by": str(accounts.aggregate(sum=Sum("balance"))["sum"] - 2 * OPENING),
        }
    return JsonResponse(result)


def side_of(models, side):
    if side not in models:
        raise Http404
    return models[side]
