"""Networks that others published and our network engine runs: one row each, from its authors' own files.

Sizes and hashes are of the files as they lay at the commit or in the release that is named.
"""

from collections.abc import Mapping

from pipelines.catalog.schema import TILED, Family, File, Hub, Model, Url, Weights, github_url

NTIRE = github_url("Amazingren/NTIRE2026_ESR", "4592ce6db68b395699f13e7e2a4e3baf317ef1c6")
SRGAN = github_url("leftthomas/SRGAN", "b0323c6ca4ca920f7daa41ba05f44bd220557cd9")
EDSR_BASE = Hub("eugenesiow/edsr-base", "d44aba7ce88abb2caae927dff98a40b749ba5a71")
EDSR_FULL = Hub("eugenesiow/edsr", "8f214a52f8160f7024a2ae73e3122b14bc36b9e8")
REAL_ESRGAN_RELEASES = "https://github.com/xinntao/Real-ESRGAN/releases/download"


def _row(
    key: str,
    name: str,
    arch: str,
    scales: Mapping[int, Weights],
    params: Mapping[int, int],
    licence: str,
    note: str,
    paper: str,
    family: Family = "cnn",
) -> Model:
    return Model(key, name, family, "network", scales, licence, True, note, paper, arch, params, TILED)


def _at(source: Hub | Url, path: str, size: int, sha256: str | None = None) -> Weights:
    # Where no hash is known, nor is a file of one's own by that name known to be this one.
    return Weights((File(path, size, sha256),), (source,), anywhere=sha256 is not None)


def _ntire(name: str, size: int, sha256: str) -> Mapping[int, Weights]:
    return {4: _at(NTIRE, f"model_zoo/{name}.pth", size, sha256)}


def _srgan(scale: int, size: int, sha256: str) -> Weights:
    return _at(SRGAN, f"epochs/netG_epoch_{scale}_100.pth", size, sha256)


def _edsr(source: Hub, *sizes: int) -> Mapping[int, Weights]:
    return {
        scale: _at(source, f"pytorch_model_{scale}x.pt", size) for scale, size in zip((2, 3, 4), sizes, strict=True)
    }


def _released(version: str, name: str, size: int, sha256: str) -> Weights:
    return _at(Url(f"{REAL_ESRGAN_RELEASES}/{version}"), name, size, sha256)


_MIT, _APACHE, _BSD = "MIT", "Apache-2.0", "BSD-3-Clause"
_NTIRE_2026 = "NTIRE 2026 challenge on efficient super-resolution"
_LIM, _LEDIG = "Lim et al. 2017, arXiv:1707.02921", "Ledig et al. 2017, arXiv:1609.04802"
_WANG = "Wang et al. 2021, arXiv:2107.10833"

SMALL = (
    _row(
        "span",
        "SPAN",
        "span",
        _ntire("team00_SPAN", 618_658, "6c80f05048313289c6526e5fc9726688d7bb3dfdd6ae3c8b1e7dd09f601e5971"),
        {4: 150_688},
        _MIT,
        "Quick and faithful at x4: the baseline of efficient networks.",
        "Wan et al. 2024, arXiv:2311.12770",
    ),
    _row(
        "disp",
        "DISP",
        "disp",
        _ntire("team18_DISP", 666_790, "b53944ab3a6ab63d5004f5dd0fae3d76cc7d308f2145942d0e41211aaf9225bf"),
        {4: 163_792},
        _MIT,
        "Faithful at x4 and as quick as Swift. Trained on more photos.",
        _NTIRE_2026,
    ),
    _row(
        "haesr",
        "HAESR",
        "haesr",
        _ntire("team06_HAESR", 3_162_222, "7734156836614b543dcc67eb198b8225f7cd0cf0fe03b66bbc2aa1c3f89ad445"),
        {4: 352_869},
        _MIT,
        "The most faithful small network at x4: it looks at the whole image. Slow.",
        _NTIRE_2026,
    ),
)
EDSR = (
    _row(
        "edsr-base",
        "EDSR base",
        "edsr",
        _edsr(EDSR_BASE, 5_510_000, 6_250_000, 6_100_000),
        {2: 1_369_859, 3: 1_554_499, 4: 1_517_571},
        _APACHE,
        "Faithful. The small version of a classic.",
        _LIM,
    ),
    _row(
        "edsr-full",
        "EDSR full size",
        "edsr",
        _edsr(EDSR_FULL, 163_000_000, 175_000_000, 172_000_000),
        {2: 40_729_603, 3: 43_680_003, 4: 43_089_923},
        _APACHE,
        "Faithful. The full version of a classic. Very slow on a CPU.",
        _LIM,
    ),
)
GANS = (
    _row(
        "real-esrgan-x4plus",
        "Real-ESRGAN x4plus",
        "rrdb",
        {
            4: _released(
                "v0.1.0",
                "RealESRGAN_x4plus.pth",
                67_040_989,
                "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
            )
        },
        {4: 16_697_987},
        _BSD,
        "Cleans and sharpens photos. The authors' own large network. Slow on a CPU.",
        _WANG,
        "gan",
    ),
    _row(
        "real-esrgan-x4plus-anime",
        "Real-ESRGAN x4plus anime",
        "rrdb",
        {
            4: _released(
                "v0.2.2.4",
                "RealESRGAN_x4plus_anime_6B.pth",
                17_938_799,
                "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da",
            )
        },
        {4: 4_467_779},
        _BSD,
        "For anime and drawings: clean lines, in a third of the large network's time.",
        _WANG,
        "gan",
    ),
    _row(
        "real-esrgan-x2plus",
        "Real-ESRGAN x2plus",
        "rrdb",
        {
            2: _released(
                "v0.2.1",
                "RealESRGAN_x2plus.pth",
                67_061_725,
                "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
            )
        },
        {2: 16_703_171},
        _BSD,
        "Cleans and sharpens photos, at x2. For photos that are nearly large enough.",
        _WANG,
        "gan",
    ),
    _row(
        "srgan",
        "SRGAN",
        "srgan",
        {
            2: _srgan(2, 2_361_404, "a7ddfb8d2109ea7360ca7a6913c3acbb7128deef16c2868476e2bb1e2cf9ec3b"),
            4: _srgan(4, 2_952_717, "f4c381640826a48d2440583e4920c6bb4041804f4e285c3c6d585f03961fe87c"),
            8: _srgan(8, 3_544_030, "91bc47a807f09ebb9c40a69ff2fd3b598e7e618d91f506b71a9c3ec2cbb94355"),
        },
        {2: 585_099, 4: 732_812, 8: 880_525},
        _MIT,
        "The first network that was trained to look real. Sharp, with artifacts.",
        _LEDIG,
        "gan",
    ),
)
