"""What a link to the page looks like elsewhere: one set of tags, ours, with absolute addresses behind proxies too."""

import gzip
import re
import urllib.request
from pathlib import Path

from PIL import Image

from tests.conftest import serving
from ui.preview_card import GRADIOS_TAGS, IMAGE, IMAGE_SIZE, PATH, write_tags


def read(address: str, **headers: str) -> str:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with urllib.request.urlopen(urllib.request.Request(address, headers=sent)) as answer:
        return str(answer.read().decode())


def tags(html: str) -> dict[str, str]:
    found = re.findall(r'<meta (?:property|name)="((?:og|twitter):[^"]+|description)" content="([^"]*)"', html)
    assert len(dict(found)) == len(found), "each once"
    return dict(found)


def test_the_page_has_our_card(served: str) -> None:
    found = tags(read(served))
    assert found["og:title"] == "Upscale Bench" and found["twitter:card"] == "summary_large_image"
    assert found["og:description"] == found["description"] and "measure which one is best" in found["description"]
    assert found["og:url"] == f"{served.rstrip('/')}/" and found["og:image"] == f"{served.rstrip('/')}{PATH}"
    with urllib.request.urlopen(found["og:image"]) as answer:
        assert answer.headers["content-type"] == "image/png" and answer.read() == IMAGE.read_bytes()
    assert read(f"{served}/config").startswith("{"), "all else is as it was"


def test_the_page_is_compressed_for_who_can_read_that(served: str) -> None:
    plain = urllib.request.urlopen(served).read()
    request = urllib.request.Request(served, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert int(answer.headers["content-length"]) < len(plain) / 3
        assert tags(gzip.decompress(answer.read()).decode()) == tags(plain.decode())


def test_behind_a_proxy_the_addresses_are_those_of_the_proxy(served: str) -> None:
    found = tags(read(served, x_forwarded_host="upscale.example", x_forwarded_proto="https"))
    assert found["og:image"] == f"https://upscale.example{PATH}" and found["og:url"] == "https://upscale.example/"


def test_below_a_path_they_have_the_path(tmp_path: Path) -> None:
    with serving(tmp_path, GRADIO_ROOT_PATH="/upscale") as address:
        found = tags(read(address))
    assert found["og:image"].endswith(f"/upscale{PATH}")


def test_the_image_is_of_the_size_that_is_wanted_and_small() -> None:
    with Image.open(IMAGE) as image:
        assert image.size == IMAGE_SIZE == (1200, 630)
    assert IMAGE.stat().st_size < 300_000


def test_what_tags_say_is_escaped_and_gradios_own_are_found() -> None:
    assert 'content="a &quot;b&quot; &lt;c&gt;"' in write_tags("http://x", 'a "b" <c>', "about")
    html = (
        b'<meta\n\tproperty="og:image"\n\tcontent="x"\n/><meta name="twitter:card" content="y" /><meta name="viewport">'
    )
    assert GRADIOS_TAGS.sub(b"", html) == b'<meta name="viewport">'
