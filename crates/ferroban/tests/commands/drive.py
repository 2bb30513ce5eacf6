"""Runs the command lines of a table, one after another, and prints what each was answered.

usage: drive.py TABLE FOLDER SOCKET (wire | client PROGRAM [OPTION ...])

`client` gives each line to a client; where PROGRAM is a Python script, the original's,
its modules are loaded once and each line runs in a copy of this process. `wire` speaks
to the socket itself and shows the pickled replies, with their types.

The lines of a table, by their first sign:

    $ WORDS       a command for both, quoted as a shell does it
    % WORDS       a command that a client does not merely pass on: not for `wire`
    > LITERAL     a request in Python's notation: for `wire` alone
    * N BYTES     bytes to send, in Python's notation, and how many replies they get: the same
    ! until WORDS ~ TEXT    wait until the reply to WORDS contains TEXT
    ! append FILE TEXT      add a line to a file; `{now}` is the time
    # …           a heading

`@` is FOLDER. Standard output gets one JSON list of objects: `line`, and what was seen,
without times, process ids and the folder.
"""

import ast
import io
import json
import os
import pickle
import re
import runpy
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time

END = b"<F2B_END_COMMAND>"
CLOSE = b"<F2B_CLOSE_COMMAND>"
PATIENCE = 20


class Called:
    """What a reply calls by name: shown, and never run."""

    def __init__(self, name, args):
        self.name, self.args = name, args

    def __repr__(self):
        return "%s(%s)" % (self.name, ", ".join(map(repr, self.args)))

    def __setstate__(self, state):
        self.args += (state,)


class Reader(pickle.Unpickler):
    """Knows `str`, as which addresses arrive, and shows all else."""

    def find_class(self, module, name):
        if (module, name) == ("builtins", "str"):
            return str
        name = name if module == "builtins" else module + "." + name
        return lambda *args: Called(name, args)


def read(payload):
    return Reader(io.BytesIO(payload)).load()


def ask_bytes(path, payload, count=1):
    """The payloads of so many replies. A connection that ends early gives fewer."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(PATIENCE)
        peer.connect(path)
        peer.sendall(payload + END)
        data, replies = b"", []
        while len(replies) < count:
            chunk = peer.recv(65536)
            if not chunk:
                break
            data += chunk
            *done, data = data.split(END)
            replies += done
        try:
            peer.sendall(CLOSE + END)
        except OSError:
            pass
        return replies


def ask(path, request):
    replies = ask_bytes(path, pickle.dumps(request, pickle.HIGHEST_PROTOCOL))
    return [show(payload) for payload in replies]


def show(payload):
    try:
        return repr(read(payload))
    except Exception as error:
        return "unreadable: %r" % error


def forked(script, args, out, err):
    """Runs a Python program in a copy of this process. Its exit code."""
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.argv = [script, *args]
        code = 0
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException as error:
            sys.stderr.write("%r\n" % error)
            code = 70
        finish(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def finish(code):
    """Ends this process. The program may have closed its output already."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except ValueError:
            pass
    os._exit(code & 255)


def is_python(program):
    with open(program, "rb") as file:
        start = file.read(64).split(b"\n")[0]
    return start.startswith(b"#!") and b"python" in start


def client(program, options):
    """A function from words to what the client did."""
    if is_python(program):
        # What takes most of the time when such a program starts.
        import fail2ban.client.fail2banclient  # noqa: F401

        start = forked
    else:

        def start(program, args, out, err):
            done = subprocess.run([program, *args], stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=PATIENCE)
            return done.returncode

    def run(words):
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            code = start(program, [*options, *words], out, err)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode("utf-8", "backslashreplace"))
        return {"code": code, "out": texts[0], "err": texts[1]}

    return run


def until(path, rest):
    words, text = rest.split(" ~ ", 1)
    end = time.monotonic() + PATIENCE
    while True:
        reply = ask(path, shlex.split(words))
        if any(text in part for part in reply):
            return
        if time.monotonic() > end:
            sys.exit("not within %d s: %s; the last reply: %s" % (PATIENCE, rest, reply))
        time.sleep(0.02)


def append(folder, rest):
    name, text = rest.split(" ", 1)
    with open(os.path.join(folder, name), "a", encoding="utf-8") as file:
        file.write(text.replace("{now}", time.strftime("%Y-%m-%d %H:%M:%S")) + "\n")


def plain(seen, folder):
    """What was seen, without what differs between any two runs."""
    if isinstance(seen, list):
        return [plain(each, folder) for each in seen]
    if not isinstance(seen, str):
        return seen
    text = seen.replace(folder, "@")
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(,\d+)?", "TIME", text)
    return re.sub(r"\[\d+\]: ", "[PID]: ", text)


def literals(text):
    """The count and the bytes of a `*` line."""
    count, payload = text.split(" ", 1)
    return ast.literal_eval(payload), int(count)


def answer(path, run, sign, text):
    """What one line was answered; none if it is for the other mode."""
    if run and sign in "$%":
        return run(shlex.split(text))
    if run or sign == "%":
        return None
    if sign == "*":
        return {"reply": [show(payload) for payload in ask_bytes(path, *literals(text))]}
    request = shlex.split(text) if sign == "$" else ast.literal_eval(text)
    return {"reply": ask(path, request)}


def main(table, folder, path, mode, *rest):
    run = client(rest[0], list(rest[1:])) if mode == "client" else None
    answers = []
    for line in open(table, encoding="utf-8").read().split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        sign, text = line[0], line[2:].replace("@", folder)
        if sign == "!":
            kind, text = text.split(" ", 1)
            until(path, text) if kind == "until" else append(folder, text)
            continue
        seen = answer(path, run, sign, text)
        if seen is not None:
            answers.append({"line": line, **{what: plain(part, folder) for what, part in seen.items()}})
    json.dump(answers, sys.stdout)


main(*sys.argv[1:])
