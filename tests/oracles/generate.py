"""Prints what the vendor's Python package signs: python3 generate.py APP SECRET USER SECONDS [USERBUF-HEX]"""
import sys

from TLSSigAPIv2 import TLSSigAPIv2

app, secret, user, seconds, *userbuf = sys.argv[1:]
api = TLSSigAPIv2(int(app), secret)
if userbuf:
    print(api.gen_sig_with_userbuf(user, int(seconds), bytes.fromhex(userbuf[0])))
else:
    print(api.gen_sig(user, int(seconds)))
