"""The contrast of text with its ground, inside of figures as well."""

import re

# Contrast that WCAG 2.2 asks for at level AAA; axe does not look into figures.
MIN_CONTRAST = {"body": 7.0, "figure svg text": 7.0}
READ_COLOURS = """
const solid = c => c !== "transparent" && !/, 0\\)$/.test(c);
return [...document.querySelectorAll(arguments[0])].map(element => {
  const style = getComputedStyle(element);
  const colour = element.closest("figure svg") ? style.fill : style.color;
  let below = element;
  while (below && !solid(getComputedStyle(below).backgroundColor))
    below = below.parentElement;
  return [colour, getComputedStyle(below || document.body).backgroundColor];
});
"""


def contrast(first, second):
    """Contrast of two CSS colours, 1 to 21 (WCAG 2.2, relative luminance)."""

    def luminance(colour):
        channels = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in channels
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def contrast_problems(browser):
    """Returns the first text of each kind that stands out too little."""
    problems = []
    for selector, least in MIN_CONTRAST.items():
        pairs = browser.execute_script(READ_COLOURS, selector)
        low = [pair for pair in pairs if contrast(*pair) < least]
        problems += [f"contrast of {selector}: {pair}" for pair in low[:1]]
    return problems
