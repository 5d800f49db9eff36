// Filters, links into what is closed, and print. All can be read without it.
const all = selector => [...document.querySelectorAll(selector)];
const form = document.getElementById("page-filters");
const cards = all(".claim");

function filter() {
  const wanted = [...new FormData(form)].filter(([, value]) => value);
  for (const card of cards)
    card.hidden = !wanted.every(([name, value]) =>
      card.dataset[name].split("|").includes(value));
  for (const family of all(".family"))
    family.hidden = !family.querySelector(".claim:not([hidden])");
  const shown = cards.filter(card => !card.hidden).length;
  form.querySelector("output").value =
    (shown < cards.length ? `${shown} of ` : "") + `${cards.length} claims`;
}

function reveal(name) {
  const target = document.getElementById(decodeURIComponent(name));
  if (target?.matches(".claim[hidden]")) {
    form.reset();
    filter();
  }
  for (let each = target; each; each = each.parentElement)
    if (each.localName === "details") each.open = true;
  return target;
}

if (form) {
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  const button = form.querySelector("[type=button]");
  button.addEventListener("click", () => {
    const open = button.textContent === "Open all";
    for (const card of cards) card.open = open && !card.hidden;
    button.textContent = open ? "Close all" : "Open all";
  });
}
document.addEventListener("click", event => {
  const link = event.target.closest('a[href^="#"]');
  if (link) reveal(link.hash.slice(1));
});
addEventListener("hashchange", () => reveal(location.hash.slice(1)));
reveal(location.hash.slice(1))?.scrollIntoView();

let closed = [];
addEventListener("beforeprint", () => {
  closed = all("details:not([open])");
  for (const each of closed) each.open = true;
});
addEventListener("afterprint", () => {
  for (const each of closed) each.open = false;
});
