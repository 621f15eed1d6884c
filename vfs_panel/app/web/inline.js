// In a notebook the explorer shares its page. Its keys stay its own, the keyboard goes to whoever was clicked, and its
// theme is the notebook's. On a page of its own none of this is needed: `page` says so.
const onPage = el => frameOf(el)?.classList.contains("page") ?? true
// Whether the notebook is dark: as JupyterLab, VS Code and Colab mark it; null where nothing says so.
function surroundings() {
  const {jpThemeLight: lab, vscodeThemeKind: code} = document.body.dataset, colab = document.documentElement.getAttribute("theme")
  if (lab) return lab === "false" ? "dark" : "light"
  if (code) return ["vscode-dark", "vscode-high-contrast"].includes(code) ? "dark" : "light"
  return ["dark", "light"].includes(colab) ? colab : null
}
// Call it once the part stands in its frame. Returns what takes everything away again.
function settle(el, inField, onTheme) {
  const frame = frameOf(el)
  if (!frame || onPage(el)) return () => {}
  // JupyterLab hears keys before the page does, and leaves those alone that come from an element with this mark. With
  // Ctrl they stay the notebook's (Ctrl-S saves it), but for undo and redo.
  const MARK = "data-lm-suppress-shortcuts"
  const guard = event => {
    if (!event.composedPath().includes(frame)) return
    const notebooks = (event.ctrlKey || event.metaKey) && !inField(event) && !["z", "y"].includes(event.key.toLowerCase())
    frame.toggleAttribute(MARK, !notebooks)
  }
  // A click on what takes no focus would leave the keyboard with the notebook's cell, where D D deletes it.
  const take = event => { if (event.composedPath().includes(frame) && !frame.matches(":focus-within")) frame.focus({preventScroll: true}) }
  put(frame, {tabindex: -1, [MARK]: true})
  window.addEventListener("keydown", guard, true); window.addEventListener("pointerdown", take, true)
  let told = null
  const look = () => { const now = surroundings(); if (now && now !== told) { told = now; onTheme(now) } }
  const watch = new MutationObserver(look)
  for (const node of [document.body, document.documentElement]) watch.observe(node, {attributes: true, attributeFilter: ["data-jp-theme-light", "data-vscode-theme-kind", "theme"]})
  look()
  return () => { watch.disconnect(); window.removeEventListener("keydown", guard, true); window.removeEventListener("pointerdown", take, true) }
}
