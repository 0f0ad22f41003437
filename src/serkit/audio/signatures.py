"""What the first bytes of a file show: whether it is a recording, and whether FFmpeg has to read it."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["DEMUXERS", "HEAD", "container", "is_recording", "second_choice"]

#: The containers that FFmpeg reads for serkit, with FFmpeg's name for the reader of each.
DEMUXERS = {
    "AAC": "aac",
    "AC3": "ac3",
    "AMR": "amr",
    "AVI": "avi",
    "DSF": "dsf",
    "DTS": "dts",
    "E-AC3": "eac3",
    "FLV": "flv",
    "MP4/M4A": "mov",
    "MPEG": "mpeg",
    "MPEG-TS": "mpegts",
    "Monkey's Audio": "ape",
    "Musepack": "mpc",
    "Musepack 8": "mpc8",
    "RealMedia": "rm",
    "True Audio": "tta",
    "WMA/ASF": "asf",
    "WavPack": "wv",
    "WebM/Matroska": "matroska",
    # what libsndfile reads first
    "AIFF": "aiff",
    "AU": "au",
    "CAF": "caf",
    "FLAC": "flac",
    "MP3": "mp3",
    "Ogg": "ogg",
    "W64": "w64",
    "WAV": "wav",
}
_W64 = bytes.fromhex("726966662e91cf11a5d628db04c10000")

#: How many bytes are looked at.
HEAD = 4096

# Containers and codings that libsndfile reads: where the mark is, and the mark.
_LIBSNDFILE = (
    (0, b"fLaC"),
    (0, b"OggS"),
    (0, b"ID3"),
    (0, b"caff"),
    (0, b".snd"),
    (0, b"dns."),
    (0, b"NIST_1A"),
    (0, b"Creative Voice File"),
    *((0, b"\x64\xa3" + bytes([machine, 0])) for machine in (1, 2, 3, 4)),  # IRCAM
    *((0, bytes([0, machine]) + b"\xa3\x64") for machine in (1, 2, 3, 4)),
    (0, _W64),
    (0, b"2BIT"),  # AVR
    (0, b"PVF1"),
)
_FFMPEG = (
    (0, b"\x1aE\xdf\xa3", "WebM/Matroska"),
    (0, b"#!AMR", "AMR"),
    (0, bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "WMA/ASF"),
    (0, b"FLV\x01", "FLV"),
    (0, b"\x00\x00\x01\xba", "MPEG"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"TTA1", "True Audio"),
    (0, b"MPCK", "Musepack 8"),
    (0, b"MP+", "Musepack"),
    (0, b".RMF", "RealMedia"),
    (0, b".ra\xfd", "RealMedia"),
    (0, b"DSD ", "DSF"),
    (0, b"ADIF", "AAC"),
    (0, b"\x7f\xfe\x80\x01", "DTS"),
)
_PICTURES = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"crx ")
_AC3_KBIT = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_KBIT = {  # of MPEG audio: layer and whether MPEG-1
    (1, True): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (2, True): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, True): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (1, False): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, False): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (3, False): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def container(head: bytes) -> str:
    """Return the name of a container that needs PyAV (FFmpeg); an empty string for all others.

    Parameters
    ----------
    head : bytes
        The first bytes of the file, :data:`HEAD` or all there are.

    Examples
    --------
    >>> container(b"FLV" + bytes([1, 4])), container(b"RIFF....WAVEfmt ")
    ('FLV', '')
    """
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        return "MP4/M4A"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "AVI"
    for at, mark, name in _FFMPEG:
        if head[at : at + len(mark)] == mark:
            return name
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "AAC"
    if _is_transport_stream(head):
        return "MPEG-TS"
    if not _is_ac3(head):
        return ""
    return "E-AC3" if head[5] >> 3 > 10 else "AC3"


def second_choice(head: bytes, *, mp3: bool) -> str:
    """Return the name of a container that libsndfile reads, or else FFmpeg; an empty string for all others."""
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return "WAV"
    if head[:4] == b"FORM":
        return "AIFF"
    if head[:16] == _W64:
        return "W64"
    names = {b"OggS": "Ogg", b"fLaC": "FLAC", b".snd": "AU", b"caff": "CAF"}
    return names.get(head[:4], "MP3" if mp3 else "")


def is_recording(head: bytes) -> bool:
    """Return whether a file that begins like this is a recording, or a film that may have a sound track.

    Data without a signature, such as raw samples, is not a recording; neither are text, pictures and archives. The
    signature of MPEG audio, AAC and AC3 frames is only a few bits, so a second frame must follow the first.

    Examples
    --------
    >>> is_recording(b"fLaC"), is_recording(b"RIFF....WEBPVP8 "), is_recording(b"Notes on the corpus")
    (True, False, False)
    """
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return head[8:12] in (b"WAVE", b"AVI ")
    if head[:4] == b"FORM":
        return head[8:12] in (b"AIFF", b"AIFC", b"8SVX", b"16SV")
    if any(head[at : at + len(mark)] == mark for at, mark in _LIBSNDFILE):
        return True
    name = container(head)
    if name == "AAC" and head[:4] != b"ADIF":
        return _repeats(head, _adts_length)
    if name == "MP4/M4A":
        return head[4:8] != b"ftyp" or head[8:12] not in _PICTURES
    return bool(name) or _repeats(head, _mpeg_length)


def _repeats(head: bytes, length: Callable[[bytes], int]) -> bool:
    """Whether a second frame follows the first, as far as can be seen."""
    first = length(head)
    if not first:
        return False
    rest = head[first:]
    return len(rest) >= 8 and bool(length(rest))


def _adts_length(head: bytes) -> int:
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length > 7 else 0


def _mpeg_length(head: bytes) -> int:
    """Bytes of the frame of MPEG audio, layer I, II or III, that `head` begins with; else 0."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer, bitrate, rate_index = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3), head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate_index == 3:
        return 0
    first = version == 3
    rate = (44100, 48000, 32000)[rate_index] // (1 if first else 2 if version == 2 else 4)
    bits = 1000 * _KBIT[layer, first][bitrate - 1]
    padding = head[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // rate + padding) * 4
    return (144 if first or layer == 2 else 72) * bits // rate + padding


def _is_ac3(head: bytes) -> bool:
    return _repeats(head, _ac3_length)


def _ac3_length(head: bytes) -> int:
    """Bytes of the frame of AC3 or E-AC3 that `head` begins with; else 0."""
    if len(head) < 6 or head[:2] != b"\x0b\x77":
        return 0
    if head[5] >> 3 > 10:  # E-AC3 states its length
        return 2 * (((head[2] & 7) << 8 | head[3]) + 1)
    rate, code = head[4] >> 6, head[4] & 63
    if rate == 3 or code >> 1 >= len(_AC3_KBIT):
        return 0
    kbit = _AC3_KBIT[code >> 1]
    return (4 * kbit, 2 * (kbit * 96000 // 44100 + (code & 1)), 6 * kbit)[rate]


def _is_transport_stream(head: bytes) -> bool:
    """Packets of 188 bytes, or of 192 with four bytes before each, that begin with the letter G."""
    return any(
        len(head) > at + 2 * step and all(head[at + k * step] == 0x47 for k in range(3))
        for at, step in ((0, 188), (4, 192))
    )
