// What all pages share: Airflow's theme while in its frame, and links that lead out of the frame.

const framed = window.parent !== window;

function parentDocument() {
  try {
    return framed ? window.parent.document : null;
  } catch {
    return null; // another origin
  }
}

const opaque = (colour) => colour && colour !== "transparent" && !/[,/]\s*0\)$/.test(colour);

function follow(parent) {
  const root = parent.documentElement;
  const take = () => {
    const named = root.dataset.theme || [...root.classList].find((name) => name === "dark" || name === "light")
      || root.style.colorScheme;
    if (named === "dark" || named === "light") {
      document.documentElement.dataset.theme = named;
    }
    const behind = [parent.body, root].map((it) => it && getComputedStyle(it).backgroundColor).find(opaque);
    if (behind) {
      document.documentElement.style.setProperty("--back", behind);
    }
  };
  document.documentElement.dataset.framed = "";
  take();
  const changed = () => {
    take();
    setTimeout(take, 500); // a colour may take a moment to change
  };
  new MutationObserver(changed).observe(root, { attributes: true, attributeFilter: ["class", "data-theme", "style"] });
}

const outside = parentDocument();
if (outside) {
  follow(outside);
  // The frame may not navigate its parent by itself: the parent's own document does it. Where a text of others links to
  // must not come into the frame, in which it would look like a part of Airflow.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[target=_top], a[rel~=noopener]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) {
      return;
    }
    event.preventDefault();
    const twin = outside.createElement("a");
    twin.href = link.href;
    if (link.target !== "_top") {
      twin.target = "_blank";
      twin.rel = "noopener noreferrer";
    }
    outside.body.append(twin);
    twin.click();
    twin.remove();
  });
}
