"""Processes, locks and signals, on the system that this is and, played, on the other."""

import os
import signal
import subprocess
import sys
import time
import types

import pytest

from misgen.envs.core import processes
from misgen.envs.core.files import remove_leftovers, write_whole

posix = pytest.mark.skipif(os.name != "posix", reason="plays POSIX")
STOPS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Kernel:
    """What `kernel32` answers of a process."""

    def __init__(self, handle=7, error=0, waits=0x102):
        self.handle, self.error, self.waits, self.closed = handle, error, waits, []

    def OpenProcess(self, access, inherits, pid):
        return self.handle

    def GetLastError(self):
        return self.error

    def WaitForSingleObject(self, handle, milliseconds):
        assert milliseconds == 0
        return self.waits

    def CloseHandle(self, handle):
        self.closed.append(handle)


@pytest.fixture
def windows(monkeypatch):
    """Play Windows: what is not there must not be called."""
    monkeypatch.setattr(processes, "on_windows", lambda: True)

    def never(*_):
        raise AssertionError("not on Windows")

    monkeypatch.setattr(processes.os, "kill", never)
    monkeypatch.setattr(processes.os, "killpg", never)


def ended() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_who_is_alive():
    assert processes.is_alive(os.getpid())
    assert not processes.is_alive(ended())
    assert not processes.is_alive(0)
    assert not processes.is_alive(-1)
    assert not processes.is_alive(10**12)


@pytest.mark.parametrize(
    ("kernel", "alive"),
    [
        (Kernel(), True),
        (Kernel(waits=0), False),  # it has ended, and somebody still has a handle
        (Kernel(handle=0, error=87), False),
        (Kernel(handle=0, error=5), True),  # another user's
    ],
)
def test_who_is_alive_on_windows(kernel, alive, windows, monkeypatch):
    import ctypes

    monkeypatch.setattr(ctypes, "windll", types.SimpleNamespace(kernel32=kernel), raising=False)
    assert processes.is_alive(1234) is alive
    assert kernel.closed == ([7] if kernel.handle else [])


@posix
def test_a_group_ends_with_all_its_processes():
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True); child.wait()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, **processes.group_options()
    )
    child = int(process.stdout.readline())
    processes.end_group(process)
    assert process.returncode == -signal.SIGTERM
    deadline = time.monotonic() + 5
    while processes.is_alive(child) and time.monotonic() < deadline and not _is_zombie(child):
        time.sleep(0.05)
    assert not processes.is_alive(child) or _is_zombie(child)


def _is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


@posix
def test_who_does_not_listen_is_killed():
    code = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, **processes.group_options()
    )
    process.stdout.readline()
    processes.end_group(process, patience=0.3)
    assert process.returncode == -signal.SIGKILL


@posix
def test_on_a_busy_machine_a_killed_process_may_take_its_time(monkeypatch):
    sent, waited = [], []

    def wait(patience):
        waited.append(patience)
        raise subprocess.TimeoutExpired("it", patience)

    monkeypatch.setattr(processes, "_signal_group", lambda pid, number: sent.append(number))
    processes.end_group(types.SimpleNamespace(pid=42, poll=lambda: None, wait=wait), patience=0.1)
    assert sent == [signal.SIGTERM, signal.SIGKILL]
    assert waited[1] >= 5


def test_a_group_on_windows(windows, monkeypatch):
    asked = []
    monkeypatch.setattr(processes.subprocess, "run", lambda command, **_: asked.append(command))
    running = types.SimpleNamespace(pid=42, poll=lambda: None, wait=lambda patience: 0)
    processes.end_group(running)
    assert asked == [["taskkill", "/T", "/F", "/PID", "42"]]
    assert set(processes.group_options()) == {"creationflags"}
    processes.end_group(types.SimpleNamespace(pid=42, poll=lambda: 0, wait=None))
    assert len(asked) == 1


def test_a_lock_on_windows(windows, monkeypatch, tmp_path):
    held = set()

    def locking(descriptor, mode, size):
        assert (mode, size) == (2, 1)
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 0
        if held:
            raise OSError("locked")
        held.add(descriptor)

    fake = types.SimpleNamespace(LK_NBLCK=2, locking=locking)
    monkeypatch.setitem(sys.modules, "msvcrt", fake)
    with (tmp_path / "LOCK").open("ab") as one, (tmp_path / "LOCK").open("ab") as other:
        assert processes.try_lock(one.fileno())
        assert not processes.try_lock(other.fileno())


def test_a_file_that_is_being_read_is_replaced_a_little_later_on_windows(
    windows, monkeypatch, tmp_path
):
    real, tries = os.replace, []

    def busy(source, target):
        tries.append(source)
        if len(tries) < 3:
            raise PermissionError(13, "in use")
        real(source, target)

    monkeypatch.setattr(processes.os, "replace", busy)
    write_whole(tmp_path / "a", lambda file: file.write(b"new"))
    assert (tmp_path / "a").read_bytes() == b"new"
    assert len(tries) == 3
    monkeypatch.setattr(processes, "on_windows", lambda: False)
    tries.clear()
    with pytest.raises(PermissionError):
        write_whole(tmp_path / "a", lambda file: file.write(b"newer"))
    assert os.listdir(tmp_path) == ["a"]


@pytest.fixture
def listening():
    """Let signals end this process and its children, also where the tests run under nohup."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in STOPS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_stop_signals(windows, monkeypatch):
    monkeypatch.setattr(processes.signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    monkeypatch.delattr(processes.signal, "SIGHUP")
    assert processes.stop_signals() == [signal.SIGTERM, signal.SIGUSR1]


@posix
@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("number", STOPS)
def test_a_stop_signal_closes_what_is_open(number):
    before = signal.getsignal(number)
    closed = []

    def tell():
        with processes.stopping_cleanly():
            try:
                os.kill(os.getpid(), number)
                time.sleep(5)
            finally:
                os.kill(os.getpid(), number)  # who is closing already is not disturbed
                closed.append(number)

    with pytest.raises(KeyboardInterrupt, match=signal.Signals(number).name):
        tell()
    assert closed == [number]
    assert signal.getsignal(number) is before


@posix
def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with processes.stopping_cleanly():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


HANGS = """
import sys, time
from misgen.experiments.commands import cli, train
def main(argv):
    try:
        print("started", flush=True)
        time.sleep(60)
    finally:
        print("closed", flush=True)
train.main = main
sys.exit(cli.main(["train"]))
"""


@posix
@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("number", STOPS)
def test_every_command_ends_cleanly_when_told_to(number):
    process = subprocess.Popen(
        [sys.executable, "-c", HANGS], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline() == b"started\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, b"closed\n", b"misgen train: interrupted\n")


# --- temporary files


WRITES = """
import os, sys, time
from pathlib import Path
from misgen.envs.core.files import write_whole
def slowly(file):
    file.write(b"half"); file.flush()
    print("writing", flush=True)
    time.sleep(60)
write_whole(Path(sys.argv[1]) / "a.json", slowly)
"""


@posix
def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"writing\n"
    write_whole(tmp_path / "b", lambda file: file.write(b"b"))
    assert len(list(tmp_path.glob(".a.json.*"))) == 1  # its writer lives
    process.kill()
    process.wait()
    write_whole(tmp_path / "b", lambda file: file.write(b"b"))
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_files_that_are_not_ours_stay(tmp_path):
    gone, other = ended(), "0" * 8
    names = [".note", ".a.tmp", f".a.{gone}.tmp", f"a.{gone}.{other}.{other}.tmp",
             f".a.{gone}.{other}.{other}.tmp", f".a.{os.getpid()}.{other}.{other}.tmp"]  # fmt: skip
    for name in names:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    old = time.time() - 3 * 24 * 3600
    for name in names:
        os.utime(tmp_path / name, (old, old))
    remove_leftovers(tmp_path)  # another machine's, of days ago, is a leftover too
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[:4])
