"""Extracts the file from a form (multipart/form-data, RFC 7578)."""

from __future__ import annotations

from email.message import Message

from .refusal import Refusal


def file_of_form(content_type: str, body: bytes) -> bytes:
    """The content of the only file of a form.

    Args:
        content_type: the header, which has the boundary.

    Raises:
        Refusal: it is not a form with exactly one file.
    """
    boundary = _parameters(content_type, "content-type").get_param("boundary")
    if not isinstance(boundary, str) or not boundary or len(boundary) > 70:
        raise Refusal(400, "the form's Content-Type has no boundary")
    delimiter = b"\r\n--" + boundary.encode("latin-1", "replace")
    # The first delimiter may be at the very beginning.
    parts = (b"\r\n" + body).split(delimiter)[1:]
    if not parts or not parts[-1].startswith(b"--"):
        raise Refusal(400, "the form has no end: it is incomplete, or its boundary is wrong")
    files = []
    for part in parts[:-1]:
        head, found, content = part.partition(b"\r\n\r\n")
        if not found:
            raise Refusal(400, "a field of the form has no headers")
        name, is_file = _field(head)
        if not is_file:
            raise Refusal(
                400, f"the form has the field {name!r}; options belong in the URL (?model=...)"
            )
        files.append(content)
    if len(files) != 1:
        raise Refusal(400, f"the form has {len(files)} files; expected one")
    return files[0]


def _field(head: bytes) -> tuple[str, bool]:
    """Name of a field, and whether it is a file."""
    for line in head.split(b"\r\n"):
        key, _, value = line.partition(b":")
        if key.strip().lower() == b"content-disposition":
            message = _parameters(value.decode("utf-8", "replace").strip(), "content-disposition")
            name = message.get_param("name", "", "content-disposition")
            filename = message.get_param("filename", None, "content-disposition")
            return str(name), filename is not None
    raise Refusal(400, "a field of the form has no Content-Disposition")


def _parameters(value: str, header: str) -> Message:
    message = Message()
    message[header] = value.replace("\n", " ").replace("\r", " ")
    return message
