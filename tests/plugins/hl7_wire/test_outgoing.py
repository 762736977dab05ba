"""Messages that the node sends: of complete studies, in order, until they are taken."""

import socket
import threading

import pytest
from pacs_jobs.api import JobQueue, NewJob

from pacs_core.api.commands import main

from .conftest import Sender, message, port_of, wait_for
from .site import Site, image

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Receiver:
    """A system that answers each message as its script says; when that is over, with AA."""

    def __init__(self, *script):
        self.script, self.taken = list(script), []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as file:
                while message := self.read(file):
                    answer = self.script.pop(0) if self.script else "AA"
                    if answer is None:
                        break
                    if isinstance(answer, bytes):
                        connection.sendall(answer)
                        break
                    fields = message.split("\r")[0].split("|")
                    self.taken.append((answer, message))
                    text = f"MSH|^~\\&|RIS|||||{fields[8]}|1|P|2.5\rMSA|{answer}|{fields[9]}|said\r"
                    connection.sendall(b"\x0b" + text.encode() + b"\x1c\r")

    @staticmethod
    def read(file):
        received = b""
        while not received.endswith(b"\x1c\r"):
            byte = file.read(1)
            if not byte:
                return ""
            received += byte
        return received[1:-2].decode()

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for a connection
        self.server.close()


def test_complete_studies_are_told_in_order_until_it_is_taken(serve, destination, tmp_path, capsys):
    """Lost connections, garbage and wrong answers are no answers; a refusal is one."""
    garbage = b"\x0bMSH|^~\\&|RIS|||||ACK|1|P|2.5\rMSA|AA|OTHER\r\x1c\r"
    receiver = Receiver(None, garbage, "AE")
    template = tmp_path / "notice.hl7"
    template.write_text(
        "MSH|^~\\&|{Application}|||RIS|{Moment}||ORU^R01^ORU_R01|{ControlID}|P|2.5.1\n"
        "PID|1||{PatientID}^^^{AssigningAuthority}||{PatientName}\n"
        "OBX|1|ST|113014^Study Instance UID^DCM||{StudyInstanceUID}||||||F\n"
    )
    ris = {"host": "127.0.0.1", "port": receiver.port, "studies": True, "timeout": 10.0}
    other = {"host": "127.0.0.1", "port": receiver.port, "studies": True, "template": str(template)}
    one, two = "1.2.826.0.1.17.61", "1.2.826.0.1.17.62"
    quiet = {"study_quiet_time": 0.5}
    with serve(archive=quiet, peers={"ris": ris}) as node, Site(node, destination) as site:
        first = image(1, "9", one)
        first.PatientName, first.StudyDescription = "Roe^Jane^M^Dr^Jr", "Head & neck"
        site.store(first)
        wait_for(lambda: receiver.taken, "it is not sent")
        site.store(image(1, "9", two))
        wait_for(lambda: len(receiver.taken) == 2, "the next is not sent")
        capsys.readouterr()

        def states():
            assert main(["hl7", "outgoing", *serve.config]) == 0
            return [line.split()[4] for line in capsys.readouterr().out.splitlines()[1:]]

        wait_for(lambda: states() == ["sent", "failed"], "states are not noted")
        (refused, message), (_, second) = receiver.taken
        segments = {line.split("|")[0]: line.split("|") for line in message.split("\r")}
        assert refused == "AE"
        assert segments["PID"][3:6] == ["9^^^HOSPITAL", "", "Roe^Jane^M^Jr^Dr"]
        assert segments["OBR"][4] == "^Head \\T\\ neck"
        assert segments["IPC"][3] == one
        assert two in second
        assert main(["hl7", "resend", "1", *serve.config]) == 0
        wait_for(lambda: len(receiver.taken) == 3, "it is not sent again")
        assert receiver.taken[2] == ("AA", message)
        wait_for(lambda: states() == ["sent", "sent"], "it is not noted")
        assert main(["hl7", "resend", "99", *serve.config]) == 1
    with serve(archive=quiet, peers={"other": other}) as node, Site(node, destination) as site:
        site.store(image(2, "9", two))
        wait_for(lambda: len(receiver.taken) == 4, "the template is not sent")
        assert f"OBX|1|ST|113014^Study Instance UID^DCM||{two}||||||F\r" in receiver.taken[3][1]
    receiver.close()
    receiver.thread.join(60)
    template.write_text("PID|{NoKeyword}")
    capsys.readouterr()
    with pytest.raises(Exception, match="NoKeyword"), serve(peers={"other": other}):
        pass


def test_old_messages_are_forgotten_and_what_failed_or_waits_is_not(serve, destination, capsys):
    """Retention: what was taken may go; a dead letter, and what nobody has taken yet, may not."""
    receiver = Receiver()
    peers = {
        "ris": {"host": "127.0.0.1", "port": receiver.port, "studies": True},
        "gone": {"host": "127.0.0.1", "port": 1, "studies": True},
    }

    def listed(command):
        capsys.readouterr()
        assert main(["hl7", command, *serve.config]) == 0
        return capsys.readouterr().out

    with serve(archive={"study_quiet_time": 0.5}, peers=peers) as node:
        with Sender(port_of(node)) as his, Site(node, destination) as site:
            site.store(image(1, "9", "1.2.826.0.1.17.63"))
            rename = message("ADT^A08", "OLD1", "PID|1||9^^^HOSPITAL||Roe^Jane")
            assert his.send(rename, message("ADT^A37", "OLD2", "PID|1||9^^^HOSPITAL")) == [
                ("AA", "OLD1"),
                ("AE", "OLD2"),
            ]
        wait_for(lambda: receiver.taken, "the study is not told")
        wait_for(lambda: "sent" in listed("outgoing"), "it is not noted")
        assert "waiting" in listed("outgoing")
        assert "ADT^A08" in listed("list")
    with serve(peers=peers, keep=0.0) as node:
        wait_for(lambda: "ADT^A08" not in listed("list"), "old messages are kept")
        assert "ADT^A37" in listed("list")
        queue = node.node.opened.node.find(JobQueue)
        node.call(queue.enqueue, NewJob("hl7.expire", {}))  # as it is done each night
        wait_for(lambda: "sent" not in listed("outgoing"), "what was sent is kept")
        assert "waiting" in listed("outgoing")
    receiver.close()
    receiver.thread.join(60)
