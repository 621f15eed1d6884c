export function render({model, el}) {
  const say = (name, more = {}) => model.send_msg({do: name, ...more})
  const TEXT = [["Pick a picture", "From the row at the left, or upload your own. It need not be in the dataset."],
    ["Paint a part of it", "The part can have any shape. The layer sees it as cells; that grid is shown under the picture."],
    ["Read the matches", "1.000 means identical to the layer. Lit cells show where; click one to go on from it."]]
  const pictures = TEXT.map(() => h("img", {alt: "", draggable: "false"})), tops = TEXT.map(() => h("img", {alt: "", class: "ink", draggable: "false"}))
  const tour = h("div", {class: "tour"}, ...TEXT.map(([title, text], i) => h("div", {class: i === 1 ? "step now" : "step"},
    h("span", {class: "pic"}, pictures[i], tops[i]), h("div", {}, h("h3", {}, h("i", {text: String(i + 1)}), title), h("p", {text})))))
  const heading = h("div", {class: "row exh"}, h("h3", {text: "Or start from an example"})), examples = h("div", {class: "exs"})
  const ghosts = h("div", {class: "ghosts", "aria-hidden": "true"}, ...Array.from({length: 12}, () => h("span")))
  el.append(h("div", {class: "first"}, tour, heading, examples, ghosts))
  follow(model, view => {
    (view.tour || []).forEach(([url, top], i) => {
      put(pictures[i], {src: url || null}); put(tops[i], {src: top || null}); tops[i].hidden = !top
    })
    const list = view.examples || []
    heading.hidden = examples.hidden = !list.length
    examples.replaceChildren(...list.map((e, i) => h("button", {type: "button", class: "ex", onclick: () => say("example", {number: i})},
      h("span", {class: "pic"}, h("img", {src: e.url, alt: "", draggable: "false"}), h("img", {src: e.ink, alt: "", class: "ink", draggable: "false"})),
      h("b", {text: e.title}), h("span", {class: "sub", text: e.note}))))
  })
}
