"""A bridge whose optimizers print wherever they can, and read from standard input."""

import ctypes
import os
import subprocess
import sys

from dspipe_bridge.optimize import main, optimizers


def noise(stage: optimizers.Stage) -> object:
    """In place of an optimizer."""
    print("print")
    assert sys.__stdout__ is not None
    sys.__stdout__.write("sys.__stdout__\n")
    os.write(1, b"descriptor 1\n")
    subprocess.run(["echo", "child process"], check=True)
    subprocess.run([sys.executable, "-c", "print('python child')"], check=True)
    library = ctypes.CDLL(None)
    library.puts(b"puts of libc")
    library.fflush(None)
    read = sys.stdin.read()
    assert read == "", f"the protocol is not for libraries: {read!r}"
    assert subprocess.run(["cat"], capture_output=True, check=True).stdout == b""
    return optimizers.labeled_few_shot(stage)


if __name__ == "__main__":
    optimizers.COMPILE = {**optimizers.COMPILE, "labeled_few_shot": noise}
    main.run()
