"""Every exception a caller can see. Each message is one plain sentence, fit for a page or a terminal as it stands."""


class UpscaleError(Exception):
    """Something the caller can mend. The base of all others here."""


class BadPicture(UpscaleError):
    """The file is not a picture that can be read, or is larger than the limits allow."""


class BadSetting(UpscaleError):
    """A model, scale or setting that does not exist, is out of range, or cannot be used together with the others."""


class WeightsUnavailable(UpscaleError):
    """The files of a model are unavailable: not here, and no source gave them.

    `brief` is a sentence for who only wants an image upscaled, `tried` what was asked and what it said, and `instead`
    the key of a model that needs no download; each is empty where there is none.
    """

    brief: str = ""
    tried: str = ""
    instead: str = ""


class NobodyOffers(WeightsUnavailable):
    """They are not here, and there is nobody to ask for them."""


class BadWeights(UpscaleError):
    """A file of weights is there but is not what it should be: wrong hash, truncated, or of another network."""


class OutOfMemory(UpscaleError):
    """Even the smallest tile does not fit into the memory that is left."""


class CannotWrite(UpscaleError):
    """A result cannot be saved: no such folder, no permission, or no room left."""


class BadInstallation(UpscaleError):
    """A file that comes with the program is missing: only a part of it was installed or copied."""


class TrainingStopped(UpscaleError):
    """A training run cannot go on: its loss is no longer a number. The last good checkpoint is kept."""
