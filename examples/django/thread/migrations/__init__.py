# What each account has at first.
OPENING = 1000
