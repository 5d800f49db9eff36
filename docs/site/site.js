// What scrolls sideways can be reached by keyboard.
function reach() {
  for (const region of document.querySelectorAll("pre, .table-wrapper")) {
    if (region.scrollWidth > region.clientWidth) region.tabIndex = 0;
  }
}
addEventListener("load", reach);
addEventListener("resize", reach);
