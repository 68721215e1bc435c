"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Descriptions use paragraphs and `code`, nothing more.
function prose(text) {
  return (text || "").split(/\n\s*\n/).filter(Boolean).map((paragraph) => {
    const parts = paragraph.split(/`([^`]+)`/);
    return make("p", {}, ...parts.map((part, at) => (at % 2 ? make("code", {}, part) : part)));
  });
}

function inline(text) {
  const parts = (text || "").split(/`([^`]+)`/);
  return make("span", {}, ...parts.map((part, at) => (at % 2 ? make("code", {}, part) : part)));
}

function json(value) {
  return make("pre", {}, make("code", {}, typeof value === "string" ? value : JSON.stringify(value, null, 2)));
}

function resolve(schema, api) {
  if (!schema) return {};
  if (schema.$ref) return api.components.schemas[schema.$ref.split("/").pop()] || {};
  return schema;
}

function typeName(schema, api) {
  if (!schema) return "";
  if (schema.$ref) {
    const target = resolve(schema, api);
    return target.enum ? target.enum.join(" | ") : schema.$ref.split("/").pop();
  }
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.anyOf) return schema.anyOf.map((option) => typeName(option, api)).join(" | ");
  if (schema.type === "array") return `list of ${typeName(schema.items, api)}`;
  return schema.format === "binary" ? "file" : schema.type || "any";
}

function limits(schema) {
  const parts = [];
  const options = [schema, ...(schema.anyOf || [])];
  for (const option of options) {
    if (option.minimum !== undefined) parts.push(`≥ ${option.minimum}`);
    if (option.maximum !== undefined && option.maximum < 2 ** 53) parts.push(`≤ ${option.maximum}`);
    if (option.maxLength !== undefined) parts.push(`up to ${option.maxLength} characters`);
  }
  if (schema.default !== undefined && schema.default !== null) parts.push(`default ${JSON.stringify(schema.default)}`);
  return parts.join(", ");
}

function row(name, schema, required, text, api) {
  return make("tr", {},
    make("td", {}, make("code", {}, name), required ? " *" : ""),
    make("td", { class: "dim" }, typeName(schema, api)),
    make("td", {}, inline(text || schema.description), " ", make("span", { class: "dim" }, limits(schema))));
}

function table(title, rows) {
  return rows.length ? make("div", {}, make("h4", {}, title), make("table", {}, ...rows)) : null;
}

function fields(schema, api) {
  const resolved = resolve(schema, api);
  const options = resolved.anyOf ? resolve(resolved.anyOf.find((option) => option.$ref), api) : resolved;
  const required = new Set(options.required || []);
  return Object.entries(options.properties || {}).map(([name, field]) => row(name, field, required.has(name), "", api));
}

function answer(status, response) {
  const content = Object.entries(response.content || {})[0];
  const examples = content ? content[1].examples : null;
  const shown = content && content[1].example !== undefined ? [content[1].example]
    : Object.values(examples || {}).map((example) => example.value);
  return make("details", {},
    make("summary", {}, make("code", {}, status), " ", inline(response.description)),
    ...shown.map(json));
}

function endpoint(path, method, operation, api) {
  const id = `${method}-${path}`;
  const parameters = (operation.parameters || []).map((parameter) =>
    row(`${parameter.name}${parameter.in === "query" ? "" : ` (${parameter.in})`}`, parameter.schema || {},
      parameter.required, parameter.description, api));
  const bodies = Object.entries((operation.requestBody || {}).content || {}).map(([type, body]) =>
    table(`Body, ${type}`, fields(body.schema, api)));
  const node = make("section", { id },
    make("h3", {}, make("span", { class: "method" }, method.toUpperCase()), " ", make("code", {}, path)),
    make("p", {}, make("strong", {}, operation.summary)),
    ...prose(operation.description),
    table("Parameters", parameters),
    ...bodies,
    make("h4", {}, "Answers"),
    ...Object.entries(operation.responses || {}).map(([status, response]) => answer(status, response)));
  node.dataset.words = `${method} ${path} ${operation.summary} ${operation.description} ${JSON.stringify(operation.responses)}`.toLowerCase();
  return node;
}

function draw(api) {
  const main = document.getElementById("reference");
  const index = document.getElementById("index");
  document.getElementById("version").textContent = `version ${api.info.version}`;
  main.replaceChildren(...prose(api.info.description));
  const entries = Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => [path, method, item[method]]));
  for (const tag of api.tags) {
    const own = entries.filter(([, , operation]) => (operation.tags || []).includes(tag.name));
    main.append(make("h2", {}, tag.name), make("p", { class: "dim" }, tag.description));
    index.append(make("h2", {}, tag.name));
    for (const [path, method, operation] of own) {
      main.append(endpoint(path, method, operation, api));
      index.append(make("a", { href: `#${method}-${path}` }, operation.summary));
    }
  }
  document.getElementById("find").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const node of main.querySelectorAll("section")) {
      node.hidden = !words.every((word) => node.dataset.words.includes(word));
    }
  });
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

fetch("/openapi.json")
  .then((response) => response.json())
  .then(draw)
  .catch((error) => { document.getElementById("reference").textContent = `The reference cannot be drawn: ${error}`; });
