"""What ``result.json`` holds, as closed records: each module a part of the document."""
