"use strict";

// Shows the OpenAPI description of this server. Text goes in as text only, never as markup.

function element(tag, options = {}, ...children) {
  const node = Object.assign(document.createElement(tag), options);
  node.append(...children);
  return node;
}

function nameOf(schema) {
  return schema.$ref ? schema.$ref.split("/").pop() : null;
}

// One line for a schema: its type, its name, or the words it admits.
function brief(schema) {
  if (!schema || Object.keys(schema).length === 0) return "any";
  if (nameOf(schema)) return nameOf(schema);
  if (schema.enum) return schema.enum.map((word) => JSON.stringify(word)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  const choices = schema.anyOf || schema.oneOf || schema.allOf;
  if (choices) return choices.map(brief).join(" | ");
  if (schema.type === "array") return `[${brief(schema.items)}]`;
  if (schema.type === "object" && schema.additionalProperties) return `{…: ${brief(schema.additionalProperties)}}`;
  return schema.format ? `${schema.type} (${schema.format})` : schema.type || "object";
}

function fieldTable(rows) {
  const head = element("tr", {}, ...["name", "type", "", "about"].map((text) => element("th", { textContent: text })));
  const body = rows.map(({ name, schema, required, note }) =>
    element(
      "tr",
      {},
      element("td", {}, element("code", { textContent: name })),
      element("td", {}, element("code", { textContent: brief(schema) })),
      element("td", { className: "note", textContent: required ? "required" : "" }),
      element("td", { textContent: note || schema.description || "" }),
    ),
  );
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}

function schemaBlock(schema, schemas) {
  const name = nameOf(schema);
  const whole = name ? schemas[name] : schema;
  if (!whole || !whole.properties) return element("p", {}, element("code", { textContent: brief(schema) }));
  const required = new Set(whole.required || []);
  const rows = Object.entries(whole.properties).map(([field, inner]) => ({
    name: field,
    schema: inner,
    required: required.has(field),
  }));
  const block = element("div", {}, fieldTable(rows));
  if (whole.description) block.prepend(element("p", { className: "note", textContent: whole.description }));
  return block;
}

function contentBlocks(title, content, schemas) {
  return Object.entries(content || {}).flatMap(([type, { schema, example }]) => {
    const blocks = [element("h3", { textContent: `${title} (${type})` }), schemaBlock(schema || {}, schemas)];
    if (example) blocks.push(element("pre", { textContent: example }));
    return blocks;
  });
}

function callDetails(method, path, call, schemas) {
  const summary = element(
    "summary",
    {},
    element("span", { className: "method", textContent: method.toUpperCase() }),
    element("code", { textContent: path }),
    element("span", { textContent: call.summary || "" }),
  );
  const body = element("div", { className: "body" });
  if (call.description) body.append(element("p", { textContent: call.description }));
  const access = (call.security || []).flatMap((one) => Object.keys(one));
  if (access.length) body.append(element("p", { className: "note", textContent: `Access: ${access.join(" or ")}` }));
  if (call.parameters && call.parameters.length) {
    body.append(element("h3", { textContent: "Parameters" }), fieldTable(call.parameters));
  }
  if (call.requestBody) body.append(...contentBlocks("Body", call.requestBody.content, schemas));
  const problems = [];
  for (const [status, response] of Object.entries(call.responses)) {
    if (Number(status) >= 400) problems.push(status);
    else if (response.content) body.append(...contentBlocks(`Answer ${status}`, response.content, schemas));
    else body.append(element("h3", { textContent: `Answer ${status} (empty)` }));
  }
  body.append(element("p", { className: "note", textContent: `Problems: ${problems.join(", ")}` }));
  const details = element("details", { className: "call" }, summary, body);
  details.dataset.words = `${method} ${path} ${call.summary || ""}`.toLowerCase();
  return details;
}

// The shapes that calls name, such as TradeOut, each once.
function shapes(schemas) {
  const section = element("section", {}, element("h2", { textContent: "shapes" }));
  for (const name of Object.keys(schemas).sort()) {
    const summary = element("summary", {}, element("code", { textContent: name }));
    const body = element("div", { className: "body" }, schemaBlock(schemas[name], schemas));
    const details = element("details", { className: "call" }, summary, body);
    details.dataset.words = name.toLowerCase();
    section.append(details);
  }
  return section;
}

function show(openapi) {
  const schemas = openapi.components.schemas;
  const groups = new Map();
  for (const [path, calls] of Object.entries(openapi.paths)) {
    for (const [method, call] of Object.entries(calls)) {
      const tag = (call.tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, element("section", {}, element("h2", { textContent: tag })));
      groups.get(tag).append(callDetails(method, path, call, schemas));
    }
  }
  document.getElementById("calls").replaceChildren(...groups.values(), shapes(schemas));
}

function filter(event) {
  const wanted = event.target.value.trim().toLowerCase();
  for (const call of document.querySelectorAll("details.call")) call.hidden = !call.dataset.words.includes(wanted);
}

async function start() {
  document.getElementById("find").addEventListener("input", filter);
  try {
    const response = await fetch(document.body.dataset.openapi);
    if (!response.ok) throw new Error(`status ${response.status}`);
    show(await response.json());
  } catch (error) {
    const text = `The description could not be read (${error.message}).`;
    document.getElementById("calls").replaceChildren(element("p", { textContent: text }));
  }
}

start();
