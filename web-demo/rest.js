// Shows the REST calls as their OpenAPI description tells them. It reads the file and knows no call by itself.

const description = await (await fetch("openapi.json")).json();

/** An element with a text or with children. */
function make(name, content, attributes = {}) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...[content].flat());
  return element;
}

/** A text in which code stands between backticks. */
function prose(text) {
  return text.split("`").map((part, index) => (index % 2 ? make("code", part) : part));
}

/** Follows a reference inside the file. */
function resolve(node) {
  if (!node?.$ref) return node ?? {};
  const found = node.$ref.slice(2).split("/").reduce((at, part) => at[part], description);
  return { ...resolve(found), ...Object.fromEntries(Object.entries(node).filter(([key]) => key !== "$ref")) };
}

/** The kind of value that a schema describes, in words. */
function kind(schema) {
  const { type, items, anyOf, enum: choices, const: only } = resolve(schema);
  if (choices) return choices.map((choice) => JSON.stringify(choice)).join(", ");
  if (only !== undefined) return JSON.stringify(only);
  if (anyOf) return anyOf.map(kind).join(" or ");
  if (type === "array") return `list of ${kind(items)}`;
  return [type ?? "any"].flat().join(" or ");
}

/** One row for each field of an object, and below it those of the objects inside. */
function rows(schema, path = "") {
  const { properties = {}, required = [] } = resolve(schema);
  return Object.entries(properties).flatMap(([name, field]) => {
    const whole = resolve(field);
    const inner = whole.type === "array" ? resolve(whole.items) : whole;
    const needed = required.includes(name) ? [" ", make("span", "needed", { class: "needed" })] : [];
    const row = make("tr", [
      make("th", [path + name, ...needed], { scope: "row" }),
      make("td", kind(field)),
      make("td", prose(whole.description ?? inner.description ?? "")),
    ]);
    return [row, ...(inner.properties ? rows(inner, `${path}${name}.`) : [])];
  });
}

function fields(title, schema) {
  const found = rows(schema);
  return found.length ? [make("h4", title), make("table", make("tbody", found))] : [];
}

function example(title, value) {
  return value === undefined ? [] : [make("h4", title), make("pre", JSON.stringify(value, null, 2), { tabindex: "0" })];
}

/** The codes of a call: those of its refusals, each with its words. */
function codes(answer) {
  const refusals = (answer.schema.anyOf ?? []).map(resolve).map((schema) => schema.properties?.ErrorCode?.description);
  const told = refusals.filter(Boolean).at(-1) ?? "";
  const list = told.split("; ").map((entry) => entry.match(/^(\d+): (.*)$/s)).filter(Boolean);
  const row = ([, code, words]) => make("tr", [make("th", code, { scope: "row" }), make("td", prose(words))]);
  return list.length ? [make("h4", "Codes of its own"), make("table", make("tbody", list.map(row)))] : [];
}

function call(path, { post }) {
  const asked = post.requestBody.content["application/json"];
  const answer = post.responses["200"].content["application/json"];
  const done = (answer.schema.anyOf ?? [answer.schema])[0];
  return make("article", [
    make("h3", post.summary),
    make("p", `POST ${path}`, { class: "path" }),
    ...(post.description ? [make("p", prose(post.description))] : []),
    ...fields("Fields", asked.schema),
    ...example("For example", asked.example),
    ...fields("Answer", done),
    ...example("For example", answer.example),
    ...codes(answer),
  ], { id: post.operationId });
}

const { info, paths, tags } = description;
document.getElementById("title").textContent = info.title;
document.getElementById("about").replaceChildren(...prose(`${info.summary}. ${info.description}`));
document.getElementById("calls").append(...Object.entries(paths).map(([path, item]) => call(path, item)));
document.getElementById("index").append(...tags.flatMap(({ name }) => {
  const own = Object.values(paths).filter(({ post }) => post.tags.includes(name));
  const links = own.map(({ post }) => make("li", make("a", post.operationId, { href: `#${post.operationId}` })));
  return [make("h2", name), make("ul", links)];
}));
