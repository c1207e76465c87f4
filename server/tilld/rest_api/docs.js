// Renders openapi.json, as far as it uses OpenAPI. Text goes in as text only, never as HTML.
"use strict";

const element = (name, ...children) => {
  const made = document.createElement(name);
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
};

const link = (href, text) => Object.assign(element("a", text), {href});

// `code`, **bold** and [links](https://…), which is all of Markdown that the document has.
const inline = (text = "") =>
  text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\(https:[^)]+\))/).map((part) => {
    if (part.startsWith("`")) return element("code", part.slice(1, -1));
    if (part.startsWith("**")) return element("b", part.slice(2, -2));
    const [, label, href] = /^\[(.+)\]\((https:.+)\)$/.exec(part) ?? [];
    return href ? link(href, label) : part;
  });

const prose = (text = "") => text.split("\n\n").map((each) => element("p", ...inline(each)));

const table = (rows) => {
  const body = element("table");
  for (const [name, type, text] of rows) {
    const kind = element("td", type);
    kind.className = "type";
    body.append(element("tr", element("th", element("code", name)), kind, element("td", ...inline(text))));
  }
  return body;
};

const render = (api) => {
  // What stands beside a $ref goes before what it refers to.
  const follow = (it) =>
    it?.$ref
      ? {...follow(it.$ref.slice(2).split("/").reduce((at, name) => at[name], api)), ...it, $ref: undefined}
      : it;

  const type = (schema) => {
    schema = follow(schema);
    if (schema.anyOf) return [...new Set(schema.anyOf.map(type))].join(" or ");
    if ("const" in schema) return JSON.stringify(schema.const);
    const values = schema.enum ?? schema["x-extensible-enum"];
    if (values) return values.map((each) => JSON.stringify(each)).join(" or ");
    if (schema.type === "array") return "array of " + type(schema.items);
    return [schema.type].flat().join(" or ");
  };

  const fields = (schema) => {
    schema = follow(schema);
    if (schema.type === "array") return fields(schema.items);
    const required = schema.required ?? [];
    return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
      field = follow(field);
      const optional = required.includes(name) ? "" : ", optional";
      const nested = fields(field).map(([inner, ...rest]) => [`${name}.${inner}`, ...rest]);
      return [[name, type(field) + optional, field.description], ...nested];
    });
  };

  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

  const content = (body) =>
    Object.entries(body?.content ?? {}).flatMap(([media, {schema, example, examples = {}}]) => [
      element("p", element("code", media)),
      table(fields(schema)),
      ...[example, ...Object.values(examples).map((each) => follow(each).value)]
        .filter((value) => value !== undefined)
        .map((value) => element("pre", text(value))),
    ]);

  const operation = (path, method, it) => {
    const details = element(
      "details",
      element("summary", element("b", method.toUpperCase()), element("code", path), element("span", it.summary)),
      ...prose(it.description),
    );
    details.id = it.operationId;
    const parameters = (it.parameters ?? []).map(follow);
    if (parameters.length) {
      const rows = parameters.map((each) => [
        each.name, `${each.in}, ${type(each.schema)}${each.required ? "" : ", optional"}`, each.description,
      ]);
      details.append(element("h4", "Parameters"), table(rows));
    }
    if (it.requestBody) details.append(element("h4", "Request"), ...content(it.requestBody));
    const responses = Object.entries(it.responses).map(([status, response]) => [status, follow(response)]);
    for (const [status, response] of responses.filter(([status]) => status < "300")) {
      details.append(element("h4", status), ...prose(response.description), ...content(response));
    }
    const errors = responses.filter(([status]) => status >= "300");
    details.append(element("h4", "Errors"), table(errors.map(([status, {description}]) => [status, "", description])));
    return details;
  };

  const operations = Object.entries(api.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, it]) => [path, method, it]),
  );
  const schemes = Object.entries(api.components.securitySchemes);
  document.body.replaceChildren(
    element("h1", `${api.info.title} ${api.info.version}`),
    ...prose(api.info.description),
    element("p", link("openapi.json", "openapi.json")),
    ...api.tags.flatMap(({name, description}) => [
      element("h2", name),
      ...prose(description),
      ...operations.filter(([, , it]) => it.tags.includes(name)).map((each) => operation(...each)),
    ]),
    element("h2", "authorization"),
    table(schemes.map(([name, it]) => [name, it.in ? `${it.in} ${it.name}` : `Bearer ${it.bearerFormat}`, it.description])),
  );
  // The part that the address names is there only now.
  const named = document.getElementById(location.hash.slice(1));
  if (named) {
    named.open = true;
    named.scrollIntoView();
  }
};

fetch("openapi.json")
  .then((response) => response.json())
  .then(render);
