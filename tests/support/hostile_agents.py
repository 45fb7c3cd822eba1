"""A page that wants more than to be read."""

from __future__ import annotations

_PAGE = """\
# A **page** with a [link](https://example.com/) and `code`

![md](CANARY/md.png) ![ref][r] [![in a link](CANARY/link.png)](CANARY/x) ![shortcut]

[r]: CANARY/ref.png
[shortcut]: <CANARY/shortcut.png> "title"

| `a | ![cut](CANARY/cut.png) ` |
| --- | --- |
| `b | ![cut](CANARY/cell.png) ` |

<img src="CANARY/html.png" onerror="window.pwned=1"><script>window.pwned=1;alert(1)</script>
<svg onload="window.pwned=1"><iframe src="CANARY/frame.html"></iframe>

<div onclick="window.pwned=1">

![in a div](CANARY/div.png)

</div>

[x](CANARY/a 't\\\\') ![title](CANARY/title.png) ')
[js](javascript:window.pwned=1) <javascript:window.pwned=1> [data](data:text/html,<script>window.pwned=1</script>)
![out](/auth/logout) [^1] &#33;&#91;entity](CANARY/entity.png)

[^1]: ![note](CANARY/note.png)

The end of the page.
"""


def page(canary: str) -> dict[str, str]:
    """A page that calls a server when it is shown by somebody careless."""
    return {"text": _PAGE.replace("CANARY", canary)}
