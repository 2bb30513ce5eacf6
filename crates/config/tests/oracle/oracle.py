"""Asks the installed fail2ban what it reads.

Requests come line by line, their words in hexadecimal:
    case                  start anew with an empty directory
    file PATH BYTES       put a file into it
    read NAME             read a configuration from it
    stock NAME            read one from /etc/fail2ban
    filter NAME [K V]...  the options of a stock filter, given K=V
    action NAME [K V]...  the commands and properties of a stock action
    seconds TEXT          read a time
    invocation TEXT       read name[options]
Each answer ends with a line `end`.
"""
import logging
import os
import sys
import tempfile

from fail2ban.client.actionreader import ActionReader
from fail2ban.client.configreader import ConfigReader
from fail2ban.client.filterreader import FilterReader
from fail2ban.helpers import extractOptions
from fail2ban.server.mytime import MyTime

logging.disable(logging.CRITICAL)
STOCK = "/etc/fail2ban"


def say(kind, *words):
    print(kind, *((word.encode().hex() or "-") for word in words))


def read(base, name):
    try:
        reader = ConfigReader(share_config=None, basedir=base)
        if not reader.read(name):
            return say("failed", "nothing was read")
    except Exception as error:
        return say("failed", str(error).replace(base, "/e"))
    parser = reader._cfg
    for section in parser.sections():
        if section in ("INCLUDES", "DEFAULT") or section.startswith("KNOWN/"):
            continue
        say("section", section)
        for option in sorted(parser.options(section)):
            raw = parser.get(section, option, raw=True)
            try:
                say("value", option, raw, parser.get(section, option))
            except Exception as error:
                say("error", option, raw, str(error))


def definition(kind, name, given):
    try:
        reader = kind(name, "jail", dict(given), share_config=None, basedir=STOCK)
        reader.read()
        reader.getOptions({})
        if kind is FilterReader:
            pairs = reader.getCombined().items()
        else:
            pairs = reader.convert()[-1][-1]
    except Exception as error:
        return say("failed", str(error))
    for option, value in pairs:
        if isinstance(value, str):
            say("value", option, value)


def evaluate(function, text):
    try:
        result = function(text)
    except BaseException as error:
        return say("failed", str(error))
    if isinstance(result, tuple) and isinstance(result[-1], dict):
        name, options = result
        return say("value", name, *(word for pair in options.items() for word in pair))
    say("value", repr(result))


directory = tempfile.TemporaryDirectory()
for request in sys.stdin:
    kind, *words = request.split()
    words = ["" if word == "-" else bytes.fromhex(word).decode() for word in words]
    if kind == "case":
        directory.cleanup()
        directory = tempfile.TemporaryDirectory()
    elif kind == "file":
        path = os.path.join(directory.name, words[0])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(words[1].encode())
    elif kind == "read":
        read(directory.name, words[0])
    elif kind == "stock":
        read(STOCK, words[0])
    elif kind == "filter":
        definition(FilterReader, words[0], zip(words[1::2], words[2::2]))
    elif kind == "action":
        definition(ActionReader, words[0], zip(words[1::2], words[2::2]))
    elif kind == "seconds":
        evaluate(MyTime.str2seconds, words[0])
    elif kind == "invocation":
        evaluate(extractOptions, words[0])
    print("end")
directory.cleanup()
