// Renders the part of OpenAPI that openapi.json uses. Text is inserted as text, never as HTML.
"use strict";

const element = (name, ...children) => {
  const made = document.createElement(name);
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
};

const titled = (name, title, ...children) => element("section", element(name, title), ...children);

const capital = (word) => word[0].toUpperCase() + word.slice(1);

const link = (href, text) => Object.assign(element("a", text), {href});

// `code`, **bold** and [links](https://…): the document uses no other Markdown.
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
    const head = Object.assign(element("th", element("code", name)), {scope: "row"});
    body.append(element("tr", head, kind, element("td", ...inline(text))));
  }
  return body;
};

const render = (api) => {
  // Fields beside a $ref override those of its target.
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

  const contents = (body) => Object.entries(body?.content ?? {});

  const examples = ([, {example, examples = {}}]) =>
    [example, ...Object.values(examples).map((each) => follow(each).value)].filter((value) => value !== undefined);

  const described = ([media, {schema}]) => [element("p", element("code", media)), table(fields(schema))];

  const parametersOf = (it) => (it.parameters ?? []).map(follow);

  const quoted = (it) => `'${it.replaceAll("'", `'\\''`)}'`;

  const curl = (path, method, it, body) => {
    const filled = path.replace(/\{(\w+)\}/g, (_, name) => parametersOf(it).find((each) => each.name === name).example);
    const required = parametersOf(it).filter((each) => each.in === "query" && each.required);
    const query = required.map(({name, example}, i) => `${i ? "&" : "?"}${name}=${encodeURIComponent(example)}`).join("");
    const stream = contents(it.responses["200"]).some(([media]) => media === "text/event-stream");
    return [
      `curl ${stream ? "-N " : ""}${method === (body ? "post" : "get") ? "" : `-X ${method.toUpperCase()} `}${quoted(location.origin + filled + query)}`,
      '-H "Authorization: Bearer $TILL_KEY"',
      ...(body ? [`-d ${quoted(JSON.stringify(body))}`] : []),
    ].join(" \\\n  ");
  };

  // The request that a server of the reader receives.
  const received = (it, body) =>
    [...parametersOf(it).map(({name, example}) => `${name}: ${example}`), "", JSON.stringify(body)].join("\n");

  const operation = (path, method, it) => {
    const title = element("h3", element("b", method.toUpperCase()), element("code", path || "your URL"), element("span", it.summary));
    const details = element("details", element("summary", title), ...prose(it.description));
    details.id = it.operationId;
    const parameters = parametersOf(it);
    if (parameters.length) {
      const rows = parameters.map((each) => [
        each.name, `${each.in}, ${type(each.schema)}${each.required ? "" : ", optional"}`, each.description,
      ]);
      details.append(titled("h4", "Parameters", table(rows)));
    }
    const bodies = contents(it.requestBody);
    if (bodies.length) details.append(titled("h4", "Request body", ...bodies.flatMap(described)));
    const requests = bodies.length ? bodies.flatMap(examples) : [undefined];
    details.append(
      titled(
        "h4",
        "Example request",
        ...requests.map((body) => element("pre", path ? curl(path, method, it, body) : received(it, body))),
      ),
    );
    const responses = Object.entries(it.responses).map(([status, response]) => [status, follow(response)]);
    for (const [status, response] of responses.filter(([status]) => status < "300")) {
      details.append(
        titled("h4", `Response ${status}`, ...prose(response.description), ...contents(response).flatMap(described)),
      );
      const shown = contents(response).flatMap(examples);
      if (shown.length) {
        details.append(titled("h4", "Example response", ...shown.map((each) => element("pre", text(each)))));
      }
    }
    const errors = responses.filter(([status]) => status >= "300");
    details.append(titled("h4", path ? "Errors" : "Other responses", table(errors.map(([status, {description}]) => [status, "", description]))));
    return details;
  };

  const webhooks = Object.values(api.webhooks).map((item) => ["", item]);
  const operations = [...Object.entries(api.paths), ...webhooks].flatMap(([path, item]) =>
    Object.entries(item).map(([method, it]) => [path, method, it]),
  );
  const schemes = Object.entries(api.components.securitySchemes);
  const named = ({name}) => operations.filter(([, , it]) => it.tags.includes(name));
  const calls = api.tags.flatMap(named).map(([, , it]) => element("li", link(`#${it.operationId}`, it.summary)));
  document.body.replaceChildren(
    element("header", element("h1", `${api.info.title} ${api.info.version}: REST API`), ...prose(api.info.description)),
    Object.assign(element("nav", element("h2", "Calls"), element("ul", ...calls)), {ariaLabel: "Calls"}),
    element(
      "main",
      ...api.tags.map((tag) =>
        titled("h2", capital(tag.name), ...prose(tag.description), ...named(tag).map((each) => operation(...each))),
      ),
      titled(
        "h2",
        "Authorization",
        ...prose("The example requests read the key from `$TILL_KEY`. Omit this header until the first key exists."),
        table(
          schemes.map(([name, it]) => [
            name, it.in ? `${it.in} ${it.name}` : `Bearer ${it.bearerFormat}`, it.description,
          ]),
        ),
      ),
    ),
    element("footer", element("p", "This page shows ", link("openapi.json", "openapi.json"), ".")),
  );
  // The browser looks for the fragment before the page is rendered, and does not open details.
  const open = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target?.localName !== "details") return;
    target.open = true;
    target.scrollIntoView();
    target.firstChild.focus();
  };
  addEventListener("hashchange", open);
  open();
};

fetch("openapi.json")
  .then((response) => response.json())
  .then(render);
