# What an action in Python finds where it looks for fail2ban, and the talk with the daemon.
#
# The daemon writes one JSON object a line to our standard input, and reads such from what
# was our standard output; whatever else is written there goes to the standard error, which
# is logged. Nothing that comes from a ticket is ever more than a string here.

import collections.abc
import json
import logging
import os
import re
import subprocess
import sys
import threading
import traceback
import types

# The longest text of one log line, in characters.
MOST_TEXT = 8000


class Link:
    """The talk with the daemon."""

    def __init__(self):
        self.reader = os.fdopen(os.dup(0), "rb")
        self.writer = os.fdopen(os.dup(1), "wb", 0)
        self.lock = threading.RLock()
        self.writing = threading.Lock()
        # The request at hand, if there is one.
        self.current = None
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)

    def read(self):
        line = self.reader.readline()
        if not line.endswith(b"\n"):
            return None
        return json.loads(line)

    def write(self, message):
        try:
            text = json.dumps(message, ensure_ascii=False, allow_nan=False, default=repr)
        except (ValueError, TypeError, RecursionError):
            text = json.dumps({"id": message.get("id"), "ok": repr(message.get("ok"))}, ensure_ascii=False)
        rest = text.encode("utf-8", "replace") + b"\n"
        with self.writing:
            while rest:
                rest = rest[self.writer.write(rest):]

    def ask(self, request, name):
        """Asks for a value of the ticket of a request that is under way."""
        with self.lock:
            if self.current is None or self.current != request:
                raise RuntimeError("%s: the call with this ticket is over" % name)
            self.write({"id": request, "ask": name})
            answer = self.read()
            if answer is None:
                os._exit(0)
            return answer["value"]


LINK = Link()


class ToDaemon(logging.Handler):
    """Has the daemon log it."""

    def emit(self, record):
        try:
            text = self.format(record)[:MOST_TEXT]
            LINK.write({"log": [record.levelno, record.name, text]})
        except Exception:
            self.handleError(record)


def notice(self, text, *args, **kwargs):
    if self.isEnabledFor(25):
        self._log(25, text, args, **kwargs)


logging.addLevelName(25, "NOTICE")
logging.NOTICE = 25
logging.Logger.notice = notice
logging.raiseExceptions = False
logging.getLogger().addHandler(ToDaemon())
logging.getLogger().setLevel(1)


def getLogger(name):
    name = name.rpartition(".")[2]
    return logging.getLogger(name if name == "fail2ban" else "fail2ban." + name)


def formatExceptionInfo():
    """The name of the class and the text of the exception that is being handled."""
    kind, value = sys.exc_info()[:2]
    return (getattr(kind, "__name__", str(kind)), str(value))


def splitwords(text):
    """Words between spaces, commas and ends of lines."""
    return [word for word in re.split(r"[\s,]+", text or "") if word]


class CallingMap(collections.abc.MutableMapping):
    """A mapping whose callables are evaluated when they are first asked for."""

    def __init__(self, *args, **kwargs):
        self.data = dict(*args, **kwargs)
        self.reset()

    def reset(self):
        """Forgets what was evaluated, changed and deleted."""
        self.storage = {}
        self.deleted = set()

    def __getitem__(self, key):
        if key in self.storage:
            return self.storage[key]
        if key in self.deleted:
            raise KeyError(key)
        value = self.data[key]
        if callable(value):
            takes = getattr(getattr(value, "__code__", None), "co_argcount", 0)
            bound = getattr(value, "__self__", None) is not None
            value = value(self) if takes > (1 if bound else 0) else value()
        self.storage[key] = value
        return value

    def __setitem__(self, key, value):
        self.deleted.discard(key)
        self.storage[key] = value

    def __delitem__(self, key):
        if key not in self:
            raise KeyError(key)
        self.storage.pop(key, None)
        self.deleted.add(key)

    def __contains__(self, key):
        return key in self.storage or (key in self.data and key not in self.deleted)

    def __iter__(self):
        yield from [key for key in self.data if key not in self.deleted]
        yield from [key for key in self.storage if key not in self.data]

    def __len__(self):
        return sum(1 for _ in self)

    def copy(self):
        other = type(self)(self.data)
        other.storage = dict(self.storage)
        other.deleted = set(self.deleted)
        return other

    def __repr__(self):
        known = {key: self.storage.get(key, self.data.get(key)) for key in self}
        return "%s(%r)" % (type(self).__name__, known)


class ActionBase:
    """What actions inherit from."""

    def __init__(self, jail, name):
        self._jail = jail
        self._name = name
        self._logSys = getLogger(self.__class__.__name__)

    def start(self):
        pass

    def stop(self):
        pass

    def ban(self, aInfo):
        pass

    def reban(self, aInfo):
        return self.ban(aInfo)

    def unban(self, aInfo):
        pass


class Jail:
    """What an action sees of its jail."""

    def __init__(self, name):
        self.name = name
        self.database = None
        self.filter = None
        self.bantime = 600
        self.actions = JailActions(self)

    def __repr__(self):
        return "Jail(%r)" % self.name

    __str__ = __repr__


class JailActions:
    def __init__(self, jail):
        self._jail = jail

    def getBanTime(self):
        return self._jail.bantime


class Utils:
    @staticmethod
    def executeCmd(realCmd, timeout=60, shell=True, output=False, tout_kill_tree=True,
                   success_codes=(0,), varsDict=None):
        """Runs a command of the shell; whether it succeeded, and with `output` what it wrote."""
        words = [realCmd] if isinstance(realCmd, str) else list(realCmd)
        if shell:
            script, args = words[0], words[1:]
            if varsDict:
                line = []
                for name, value in varsDict.items():
                    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                        raise ValueError("%r is no name of a variable" % name)
                    line.append("%s=${%d}" % (name, len(args)))
                    args.append(str(value).replace("\0", ""))
                script = " ".join(line) + "\n" + script
            words = ["/bin/sh", "-c", script] + args
        log = getLogger("fail2ban.utils")
        try:
            child = subprocess.Popen(words, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except OSError as error:
            log.error("%s -- failed with %s", realCmd, error)
            return (False, b"", b"", None) if output else False
        late = False
        try:
            out, err = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            late = True
            child.terminate()
            try:
                out, err = child.communicate(timeout=0.2)
            except subprocess.TimeoutExpired:
                child.kill()
                try:
                    out, err = child.communicate(timeout=0.2)
                except subprocess.TimeoutExpired:
                    out, err = b"", b""
        code = child.returncode
        success = not late and code in success_codes
        level = logging.DEBUG if success else logging.ERROR
        mark = "%x" % id(child)
        if log.isEnabledFor(level):
            if not success:
                log.log(level, "%s -- exec: %s", mark, realCmd)
            if late:
                log.log(level, "%s -- timed out after %s seconds.", mark, timeout)
            for name, text in (("stdout", out), ("stderr", err)):
                for line in text.decode("utf-8", "replace").splitlines()[:100]:
                    log.log(level, "%s -- %s: %r", mark, name, line)
            log.log(level, "%s -- returned %s", mark, code)
        return (success, out, err, code) if output else success


def module(name, **names):
    made = types.ModuleType(name)
    made.__dict__.update(names)
    sys.modules[name] = made
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, made)
    return made


module("fail2ban").__path__ = []
module("fail2ban.version", version="1.1.0")
module("fail2ban.helpers", getLogger=getLogger, formatExceptionInfo=formatExceptionInfo,
       splitwords=splitwords)
module("fail2ban.server").__path__ = []
module("fail2ban.server.utils", Utils=Utils)
module("fail2ban.server.action", ActionBase=ActionBase, CallingMap=CallingMap)
module("fail2ban.server.actions", ActionBase=ActionBase, CallingMap=CallingMap)


class IPAddr(str):
    """An address, or whatever else is banned: a text that knows its family."""

    def __new__(cls, text, family):
        made = super().__new__(cls, text)
        made.familyStr = family
        made.isIPv4 = family == "inet4"
        made.isIPv6 = family == "inet6"
        made.ntoa = str(text)
        return made


class ActionInfo(CallingMap):
    """The values of a ticket."""


def ticket(request):
    """What the daemon sends at once, and what it is asked for later."""
    sent = request["info"]
    values = dict(sent["values"])
    captures = dict(values.get("F-*") or {})
    lines = captures.get("matches") or []
    captures["matches"] = [tuple(line) if isinstance(line, list) else line for line in lines]
    values["F-*"] = captures

    for name in ("ip", "fid"):
        values[name] = IPAddr(values[name], values["family"])

    def later(name):
        number = request["id"]
        return lambda: LINK.ask(number, name)

    for name in sent["later"]:
        values[name] = later(name)
    return ActionInfo(values)


class Refused(Exception):
    """The file is no action."""


class Host:
    """The action, and what it is asked to do."""

    NEEDED = ("start", "stop", "ban", "reban", "unban")

    def __init__(self):
        self.jail = None
        self.action = None

    def do_load(self, request):
        path = request["path"]
        self.jail = Jail(request["jail"])
        self.jail.bantime = request["bantime"]
        name = re.sub(r"\W", "_", os.path.basename(path).rpartition(".")[0])
        made = types.ModuleType(name)
        made.__file__ = path
        # Modules of ours and of Python itself stay what they are.
        if name not in sys.modules:
            sys.modules[name] = made
        exec(compile(request["source"], path, "exec", dont_inherit=True), made.__dict__)
        if not hasattr(made, "Action"):
            raise Refused("module does not have 'Action' class; have the file say which class it "
                          "is: Action = NAME")
        kind = made.Action
        missing = [name for name in self.NEEDED if not callable(getattr(kind, name, None))]
        if missing:
            raise Refused("'Action' class does not implement required methods: %s; add them, or "
                          "inherit from fail2ban.server.action.ActionBase" % ", ".join(missing))
        self.action = kind(self.jail, request["name"], **request["options"])
        has = lambda name: callable(getattr(self.action, name, None))
        return {"flush": has("flush"), "check": has("consistencyCheck"), "reload": has("reload"),
                "clear": has("clearAllParams")}

    def do_start(self, request):
        return self.action.start()

    def do_stop(self, request):
        return self.action.stop()

    def do_ban(self, request):
        if request["restored"] and getattr(self.action, "norestored", False) == True:
            return None
        return self.action.ban(ticket(request))

    def do_unban(self, request):
        return self.action.unban(ticket(request))

    def do_flush(self, request):
        return bool(self.action.flush())

    def do_reload(self, request):
        return self.action.reload(**request["options"])

    def do_clear(self, request):
        return self.action.clearAllParams()

    def do_check(self, request):
        return self.action.consistencyCheck()

    def do_names(self, request):
        names = [name for name in dir(self.action) if not name.startswith("_")]
        wanted = request["callable"]
        return sorted(name for name in names if callable(getattr(self.action, name)) == wanted)

    def do_get(self, request):
        return getattr(self.action, request["name"])

    def do_set(self, request):
        name, value = request["name"], request["value"]
        if callable(getattr(self.action, name, None)):
            return getattr(self.action, name)(**(json.loads(value) if value else {}))
        setattr(self.action, name, value)
        return getattr(self.action, name)

    def do_call(self, request):
        return getattr(self.action, request["name"])(**request["arguments"])


def serve():
    host = Host()
    while True:
        request = LINK.read()
        if request is None:
            break
        number = request["id"]
        with LINK.lock:
            LINK.current = number
        if host.jail is not None:
            host.jail.bantime = request.get("bantime", host.jail.bantime)
        try:
            answer = {"id": number, "ok": getattr(host, "do_" + request["do"])(request)}
        except BaseException as error:
            answer = {"id": number, "class": type(error).__name__, "error": str(error),
                      "trace": traceback.format_exc()[-MOST_TEXT:]}
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass
        with LINK.lock:
            LINK.current = None
            LINK.write(answer)


sys.dont_write_bytecode = True
serve()
