// The page's own script: the theme, and figures drawn from their data. Nothing here evaluates text.
(() => {
  "use strict"
  const data = JSON.parse(document.getElementById("data").textContent)
  const places = [...document.querySelectorAll("[data-figure]")]
  const button = document.getElementById("theme")
  const prefers = matchMedia("(prefers-color-scheme: dark)")
  let chosen = null
  try { chosen = localStorage.getItem("vfs-theme") } catch { /* not for files, in some browsers */ }

  const isDark = () => (chosen ?? (prefers.matches ? "dark" : "light")) === "dark"

  function dress() {
    document.documentElement.dataset.theme = isDark() ? "dark" : "light"
    button.textContent = isDark() ? "Light" : "Dark"
    draw()
  }

  // The colours of the light theme -> those of the dark one. A palette is data and stays.
  function darkened(value) {
    if (typeof value === "string") return data.dark[value.toUpperCase()] ?? value
    if (Array.isArray(value)) return value.map(darkened)
    if (value === null || typeof value !== "object") return value
    const found = {}
    for (const [key, one] of Object.entries(value)) found[key] = key === "palette" ? one : darkened(one)
    // A frame without filling in the light page's colour rounds the corners of a picture: it is part of the page.
    if (value.fill_alpha?.value === 0 && value.line_color?.value === "#FFFFFF") {
      found.line_color = {type: "value", value: getComputedStyle(document.body).getPropertyValue("--bg").trim()}
    }
    return found
  }

  // A figure with axes may be narrower than asked for; pictures in a figure keep their size, and are scrolled.
  // Figures side by side that find no room stand one below the other.
  function fitted(item, room) {
    const root = item.doc.roots.find(one => one.id === item.root_id)
    const figures = root?.name === "GridPlot" ? root.attributes.children.map(child => child[0]) : [root]
    const width = one => one?.attributes?.width ?? 600
    if (figures.length > 1) {
      const rows = {}
      for (const [one, row] of root.attributes.children) rows[row] = (rows[row] ?? 0) + width(one)
      if (Math.max(...Object.values(rows)) <= room) return item
      root.attributes.children.forEach((child, at) => { [child[1], child[2]] = [at, 0] })
    }
    const shows = axes => axes?.some(axis => axis.attributes && axis.attributes.visible !== false)
    for (const one of figures) {
      const at = one?.name === "Figure" ? one.attributes : null
      if (at && shows(at.below) && shows(at.left) && !at.match_aspect && at.frame_width == null && width(one) > room) {
        at.width = Math.floor(room)
      }
    }
    return item
  }

  let drawn = Promise.resolve()
  function draw() {
    drawn = drawn.then(async () => {
      for (const place of places) {
        const item = structuredClone(data.figures[Number(place.dataset.figure)])
        const views = place.views ?? []
        for (const view of views) view.model.document?.clear()
        place.replaceChildren()
        try {
          const found = await Bokeh.embed.embed_item(fitted(isDark() ? darkened(item) : item, place.clientWidth), place)
          place.views = found.roots ?? [...found]
          await new Promise(requestAnimationFrame)
          if (place.scrollWidth > place.clientWidth) place.tabIndex = 0  // so that the keys scroll it
          else place.removeAttribute("tabindex")
        } catch (error) {
          place.textContent = "This figure could not be drawn."
          console.error(error)
        }
      }
      document.documentElement.dataset.drawn = isDark() ? "dark" : "light"
    })
  }

  button.hidden = false
  button.addEventListener("click", () => {
    chosen = isDark() ? "light" : "dark"
    try { localStorage.setItem("vfs-theme", chosen) } catch { /* as above */ }
    dress()
  })
  prefers.addEventListener("change", dress)
  let width = innerWidth, timer = 0
  addEventListener("resize", () => {
    clearTimeout(timer)
    timer = setTimeout(() => { if (innerWidth !== width) { width = innerWidth; draw() } }, 200)
  })
  dress()
})()
