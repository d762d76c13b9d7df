"""The page in a real browser: what a person chooses, drops and reads."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium_pages import Browser, Page
from PIL import Image

import mmext
from mmext.serving.server import PageServer

TABLES = '[...document.querySelectorAll("#tables table")].map(t => t.caption.textContent)'
ROWS = '[...document.querySelectorAll("#tables table:last-child tbody tr")].length'
SHOWN = '!document.getElementById("found").hidden && document.getElementById("picture").complete'
SAID = 'document.getElementById("say").innerText'


@pytest.fixture
def page(browser: Browser, server: PageServer) -> Iterator[Page]:
    """The page, whose model was asked for; nothing may go wrong on it, or be fetched elsewhere."""
    page = browser.page()
    page.open(server.url)
    page.wait('document.title.includes("UPSNet")')
    yield page
    assert not page.complaints()
    assert all(address.startswith((server.url, 'data:', 'blob:')) for address in page.requests())
    page.close()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    path = tmp_path / 'a photo.png'
    Image.fromarray(pixels).save(path)
    return path


def lower_the_score(page: Page) -> None:
    """To 0, with the key that a person would press."""
    page.run('document.getElementById("score").focus()')
    page.press('Home', 36)


def test_a_chosen_photo_is_shown_with_what_is_in_it(
    page: Page, photo: Path, model: mmext.Model
) -> None:
    assert f'UPSNet on cpu finds {model.classes[0]}' in page.text()
    page.choose('#file', photo)
    page.wait(SHOWN)
    found = model(photo)
    assert f'{len(found.above(0.3))} objects' in page.run(SAID)
    assert page.run(TABLES) == ['segments', 'objects']
    wanted = found.plot(0.3).size
    picture = 'document.getElementById("picture")'
    assert page.run(f'[{picture}.naturalWidth, {picture}.naturalHeight]') == list(wanted)
    lower_the_score(page)
    page.wait(f'{ROWS} > 0')
    assert page.run(ROWS) == len(found.above(0.0))
    names = page.run(
        '[...document.querySelectorAll("#tables td:first-child")].map(c => c.innerText)'
    )
    assert set(names) <= set(model.classes)


def test_a_dropped_photo(page: Page, photo: Path) -> None:
    page.drop(photo)
    page.wait(SHOWN)
    assert '128 x 96 px' in page.run(SAID)


def test_a_pasted_photo(page: Page) -> None:
    page.run("""new Promise(done => {
        const canvas = Object.assign(document.createElement('canvas'), {width: 40, height: 30});
        canvas.getContext('2d').fillRect(0, 0, 40, 30);
        canvas.toBlob(blob => {
            const held = new DataTransfer();
            held.items.add(new File([blob], 'pasted.png', {type: 'image/png'}));
            document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: held}));
            done();
        });
    })""")
    page.wait(SHOWN)
    assert '40 x 30 px' in page.run(SAID)


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('notes.txt', b'hello', 'that is no picture'),
        ('broken.png', b'hello', 'no picture of the formats'),
        ('large.png', b'x' * 300_000, 'larger than 0.2 MB'),
    ],
)
def test_what_is_no_picture_takes_the_last_one_away(
    name: str, content: bytes, message: str, page: Page, photo: Path, browser: Browser
) -> None:
    """Else the drawing of the photo before would stand below the error."""
    page.choose('#file', photo)
    page.wait(SHOWN)
    strange = photo.with_name(name)
    strange.write_bytes(content)
    page.drop(strange)
    page.wait('document.getElementById("say").classList.contains("wrong")')
    assert message in page.run(SAID) and page.run('document.getElementById("found").hidden')
    browser.events[:] = [e for e in browser.events if not refused(e)]


def refused(event: dict[str, Any]) -> bool:
    """The browser's own line about a 4xx, which is wanted here."""
    return '415' in json.dumps(event) and event['method'] == 'Log.entryAdded'


def test_a_server_that_has_gone(browser: Browser, server: PageServer, photo: Path) -> None:
    page = browser.page()
    page.open(server.url)
    page.wait('document.title.includes("UPSNet")')
    page.ask(
        'Network.emulateNetworkConditions',
        offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1,
    )  # fmt: skip
    page.choose('#file', photo)
    page.wait('document.getElementById("say").classList.contains("wrong")')
    assert 'is it still running?' in page.run(SAID)
    page.close()


@pytest.mark.parametrize(('width', 'scheme'), [(400, 'light'), (1200, 'dark')])
def test_it_fits_on_any_window(width: int, scheme: str, page: Page, photo: Path) -> None:
    page.resize(width, 800, scheme)
    page.choose('#file', photo)
    page.wait(SHOWN)
    assert page.run('document.documentElement.scrollWidth') <= width
    background = page.run('getComputedStyle(document.body).color')
    is_light = background == 'rgb(0, 0, 0)'
    assert is_light == (scheme == 'light')
