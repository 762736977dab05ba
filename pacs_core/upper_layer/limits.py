"""Caps that are enforced on received PDUs before their bodies are stored."""

from attrs import field, frozen
from attrs.validators import ge


@frozen
class Limits:
    """How much one association may ask of the upper layer.

    The lengths are compared with the PDU-length field as soon as the six header bytes are there,
    so that a peer can never make the node hold more than the cap.

    Attributes
    ----------
    max_pdu_length : int
        Largest PDU-length of a P-DATA-TF accepted, in bytes; what to advertise as the Maximum
        Length Received (PS3.8 §D.1).
    max_associate_pdu_length : int
        Largest PDU-length of an A-ASSOCIATE-RQ or -AC accepted, in bytes.
    max_associate_items : int
        Items and sub-items of all levels in one A-ASSOCIATE PDU, unknown ones included.
    max_presentation_contexts : int
        Presentation contexts in one A-ASSOCIATE PDU. The standard's own bound is 128, as
        identifiers are odd and take one byte (PS3.8 §7.1.1.13).
    max_transfer_syntaxes_per_context : int
        Transfer syntaxes proposed in one presentation context.
    max_pdvs_per_pdu : int
        Presentation data values in one P-DATA-TF PDU.
    """

    max_pdu_length: int = field(default=131072, validator=ge(7))
    max_associate_pdu_length: int = field(default=1 << 20, validator=ge(68))
    max_associate_items: int = field(default=10_000, validator=ge(1))
    max_presentation_contexts: int = field(default=128, validator=ge(1))
    max_transfer_syntaxes_per_context: int = field(default=64, validator=ge(1))
    max_pdvs_per_pdu: int = field(default=1024, validator=ge(1))
