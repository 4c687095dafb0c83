// The viewer: panes of tiles at one zoom and position. These files are read as one script, in the order of
// VIEWER_SCRIPTS in ui/widgets/viewer.py, so all of them see what is declared here.

// A zoom of 1 is one pixel of the size on one pixel of the screen.
const MOST_TILES = 192; // decoded tiles, of 1 MB each
const MOST_FETCHING = 8; // tiles being fetched
const FEW_TILES = 2; // an image, that are fetched before the one that shows all of it
const CLOSEST = 32; // the largest zoom
const OPENING_ZOOM = 2; // CSS pixels for one of the image's at the most, where a view opens at a place
const ZOOM_STEP = 1.25;
const PAN_STEP = 0.1; // of a pane
const SWIPE_STEP = 0.05; // of a pane
const SAY_AFTER = 700; // milliseconds without a movement until it is said where the view is
const HINT_FOR = 1600; // milliseconds that a hint stays
const FETCH_AFTER = 80; // milliseconds that the pointer stays until the pixels under it are fetched
const HEATS = {
    error: "|result − original|, the largest of red, green and blue",
    consistency: "|result shrunk again − small image|, the largest of red, green and blue",
};

const root = element.querySelector(".viewer");
const find = (selector) => root.querySelector(selector);
const stage = find(".stage");
const panesBox = find(".panes");
const line = find(".swipe-line");
const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

const view = {
    x: 0, y: 0, zoom: 1, fitted: true, layer: "picture", blinking: false, spot: null,
    layout: "grid", chosen: 1, share: 0.5, // the right one of two panes, and where the line between them is
    place: null, // to go to once there is room to show it
    moved: false, // by the visitor: a new value leaves it there
    laid: false, // the layout was chosen by the visitor
    larger: false, // one image of several, under the line with the one that it is compared with
    full: false,
};
const tiles = new Map(); // URL to bitmap, the one used longest ago first
const fetching = new Set();
const failed = new Set();
const pointers = new Map(); // fingers and buttons that are down: id to place
let gripped = null; // what of the image they hold: the place in it, and the zoom and how far they were apart then
let given = { panes: [], boxes: [] };
let panes = []; // { figure, canvas, context, name, value, cursor, layers, label }
let size = { width: 1, height: 1 }; // that all images are drawn at
let wanted = []; // URLs, the most urgent first
let inSight = new Set(); // URLs of the tiles drawn last, which must stay
let drawing = 0;
let saying = 0;
let resting = 0;
let hinting = 0;
