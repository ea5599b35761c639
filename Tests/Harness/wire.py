"""A connection on which a test writes bytes of its own, whatever HTTP says."""

import contextlib
import socket
import time


class Wire:
    """Reads give up after `timeout` seconds."""

    def __init__(self, port, timeout=10, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """Writes; a peer that has closed already is no error here."""
        with contextlib.suppress(OSError):
            self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def read(self, until=None):
        """Everything up to the end of the connection, or up to a text. Raises TimeoutError when neither comes."""
        received = b""
        while until is None or until not in received:
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:
                break
            if not piece:
                break
            received += piece
        return received.decode("latin-1")


def is_dropped(wire):
    """Whether the peer has closed the connection. Does not wait."""
    wire.socket.settimeout(0.001)
    try:
        return wire.socket.recv(1, socket.MSG_PEEK) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def drip(wire, data, pause, limit):
    """Sends a byte each `pause` seconds until the peer closes; answers the seconds that took. Fails after `limit`."""
    start = time.monotonic()
    for byte in data:
        assert time.monotonic() - start < limit, f"not dropped within {limit} s"
        wire.send(bytes([byte]))
        time.sleep(pause)
        if is_dropped(wire):
            return time.monotonic() - start
    raise AssertionError("everything was taken")
