"""What a person with wet thumbs, in the sun, who needs large letters, would complain of on a screen of the tablet app.

Hides how a page is searched for it: text that is cut or stands over the edge, controls that are too small or that something
else covers, contrast that is too weak, days that are written as a computer writes them.
"""

from typing import Final

from playwright.sync_api import Page

TARGET_PX: Final = 48
TEXT_CONTRAST, EDGE_CONTRAST = 4.5, 3.0

FAULTS: Final = r"""({ target, textContrast, edgeContrast }) => {
    const faults = new Set();
    const CONTROLS = "a[href], button, input, textarea, select, summary";
    const named = (element) => {
        const words = (element.textContent || element.name || element.placeholder || "").trim().replace(/\s+/g, " ");
        const looks = element.getAttribute("class");
        return `${element.tagName.toLowerCase()}${looks ? "." + looks.split(" ").join(".") : ""} “${words.slice(0, 40)}”`;
    };
    const complain = (what, element) => faults.add(`${what}: ${named(element)}`);
    const hidden = (element) =>
        element.closest(".unseen, [hidden], noscript, title, desc") ||
        [...document.querySelectorAll("details:not([open])")].some(
            (one) => one.contains(element) && !element.closest("summary") && one !== element);
    const boxed = (element) => {
        const { width, height } = element.getBoundingClientRect();
        return width > 1 && height > 1;
    };
    const shown = (element) => boxed(element) && !hidden(element) && getComputedStyle(element).visibility === "visible";
    const all = [...document.body.querySelectorAll("*")].filter((one) => !one.closest("svg") && shown(one));

    // -- colours --
    const colour = (text) => {
        const [red, green, blue, alpha = 1] = text.match(/[\d.]+/g).map(Number);
        return { parts: [red, green, blue], alpha };
    };
    const over = ({ parts, alpha }, ground) => parts.map((part, at) => part * alpha + ground[at] * (1 - alpha));
    const groundOf = (element) => {
        if (!element) return [255, 255, 255];
        const own = colour(getComputedStyle(element).backgroundColor);
        return own.alpha === 1 ? own.parts : over(own, groundOf(element.parentElement));
    };
    const brightness = (parts) => {
        const [red, green, blue] = parts.map((part) => part / 255)
            .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const contrast = (one, other) => {
        const [dark, light] = [brightness(one), brightness(other)].sort((a, b) => a - b);
        return (light + 0.05) / (dark + 0.05);
    };
    const weak = (text, ground, least) => contrast(over(colour(text), ground), ground) < least;

    // -- text --
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const element = node.parentElement;
        if (!node.data.trim() || element.closest("svg") || !shown(element)) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        for (const { left, right, width } of range.getClientRects())
            if (width > 1 && (left < -1 || right > innerWidth + 1)) complain("over the edge", element);
        if (weak(getComputedStyle(element).color, groundOf(element), textContrast)) complain("weak text", element);
        if (/\b\d{4}-\d{2}-\d{2}\b/.test(node.data)) complain("a day as computers write it", element);
    }

    // -- boxes --
    for (const element of all) {
        const { display, overflowX, overflowY } = getComputedStyle(element);
        const spilled = element.scrollWidth - element.clientWidth;
        if (element.clientWidth && display !== "inline" && spilled > 1) complain(`${spilled} px too wide`, element);
        const cut = element.scrollHeight - element.clientHeight;
        const closed = [overflowX, overflowY].some((one) => /hidden|clip/.test(one)) || element.matches(CONTROLS);
        const scrolls = element.matches("textarea, input, nav");
        if (element.clientHeight && closed && cut > 2 && !scrolls) complain(`${cut} px cut`, element);
    }

    // -- controls --
    const inText = (element) => getComputedStyle(element).display === "inline" &&
        element.parentElement.textContent.trim() !== element.textContent.trim();
    const from = scrollY;
    for (const element of all.filter((one) => one.matches(CONTROLS) && !one.disabled)) {
        element.scrollIntoView({ block: "center", inline: "nearest" });
        const { left, top, width, height } = element.getBoundingClientRect();
        const small = Math.min(width, height) < target - 0.5;
        if (small && !inText(element)) complain(`only ${Math.round(width)} × ${Math.round(height)} px`, element);
        const [line] = element.getClientRects();
        const found = inText(element)
            ? document.elementFromPoint(line.left + line.width / 2, line.top + line.height / 2)
            : document.elementFromPoint(left + width / 2, top + height / 2);
        if (!found || !(element.contains(found) || found.contains(element))) complain("covered", element);
        else if (!element.contains(found) && !found.matches("label")) complain("covered", element);
    }
    scrollTo(0, from);

    // -- edges --
    for (const element of all.filter((one) => one.matches("button, .button, input, textarea, select, details"))) {
        const { borderTopColor, borderTopWidth, borderTopStyle, backgroundColor } = getComputedStyle(element);
        const ground = groundOf(element.parentElement);
        const edge = colour(borderTopColor);
        if (parseFloat(borderTopWidth) === 0 || borderTopStyle === "none" || edge.alpha === 0) continue;
        const filled = contrast(over(colour(backgroundColor), ground), ground) >= edgeContrast;
        if (!filled && contrast(edge.parts, ground) < edgeContrast) complain("weak edge", element);
        if (element.placeholder && weak(getComputedStyle(element, "::placeholder").color, groundOf(element), textContrast))
            complain("weak placeholder", element);
    }
    for (const element of document.querySelectorAll("svg.icon")) {
        const { stroke } = getComputedStyle(element);
        if (weak(stroke, groundOf(element.parentElement), edgeContrast)) complain("weak icon", element);
    }
    return [...faults];
}"""


def faults_of(page: Page) -> list[str]:
    """List what is wrong with the screen that is shown, as it is shown."""
    limits = {"target": TARGET_PX, "textContrast": TEXT_CONTRAST, "edgeContrast": EDGE_CONTRAST}
    found: list[str] = page.evaluate(FAULTS, limits)
    return found


IN_SIGHT: Final = """(selector) => {
    const [top, bottom] = [".top", ".foot"].map((one) => document.querySelector(one).getBoundingClientRect());
    return [...document.querySelectorAll(selector)].filter((one) => {
        const box = one.getBoundingClientRect();
        return box.top >= top.bottom - 1 && box.bottom <= bottom.top + 1;
    }).length;
}"""


def in_sight(page: Page, selector: str) -> int:
    """Count the elements that are wholly in sight between the frame's top and foot."""
    count: int = page.evaluate(IN_SIGHT, selector)
    return count
