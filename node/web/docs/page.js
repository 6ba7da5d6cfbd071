// Shows openapi.json and asyncapi.json as one page. It fetches nothing else and writes text only, never HTML.
(function () {
  'use strict';

  var main = document.getElementById('main');
  var contents = document.getElementById('contents');

  function el(tag, attributes) {
    var node = document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (name) { node.setAttribute(name, attributes[name]); });
    for (var n = 2; n < arguments.length; n++) {
      var child = arguments[n];
      if (child !== null && child !== undefined) node.append(child);
    }
    return node;
  }

  function heading(level, id, text) {
    var node = el('h' + level, { id: id, tabindex: '-1' }, text);
    if (level === 2) contents.append(el('li', {}, el('a', { href: '#' + id }, text)));
    return node;
  }

  // prose is a paragraph; what stands between backticks is code.
  function prose(text) {
    var p = el('p');
    text.split('`').forEach(function (part, n) { p.append(n % 2 ? el('code', {}, part) : part); });
    return p;
  }

  function table(head, rows) {
    var body = el('tbody');
    rows.forEach(function (cells) {
      var row = el('tr');
      cells.forEach(function (cell) { row.append(el('td', {}, cell)); });
      body.append(row);
    });
    var top = el('tr');
    head.forEach(function (cell) { top.append(el('th', { scope: 'col' }, cell)); });
    return el('div', { class: 'scroll' }, el('table', {}, el('thead', {}, top), body));
  }

  function nameOf(ref) { return ref.split('/').pop(); }

  // typeOf says what a schema allows, in a few words, with a link where it has a name.
  function typeOf(schema, prefix) {
    if (!schema) return 'any';
    if (schema.$ref) return el('a', { href: '#' + prefix + nameOf(schema.$ref) }, nameOf(schema.$ref));
    var node = el('span');
    if (schema.oneOf) {
      schema.oneOf.forEach(function (s, n) { node.append(n ? ' | ' : '', typeOf(s, prefix)); });
      return node;
    }
    var type = Array.isArray(schema.type) ? schema.type.join(' | ') : schema.type || 'any';
    if (type.indexOf('array') === 0) node.append('[', typeOf(schema.items, prefix), ']');
    else if (type === 'object' && schema.additionalProperties && schema.additionalProperties !== true) node.append('{ … : ', typeOf(schema.additionalProperties, prefix), ' }');
    else node.append(type);
    if (schema.format) node.append(' (' + schema.format + ')');
    if (schema.enum) node.append(': ', el('code', {}, schema.enum.join(', ')));
    [['minimum', '≥ '], ['maximum', '≤ '], ['minLength', 'length ≥ '], ['maxLength', 'length ≤ '], ['maxItems', 'items ≤ '], ['pattern', '']].forEach(function (rule) {
      if (schema[rule[0]] !== undefined) node.append(' ' + rule[1] + schema[rule[0]]);
    });
    return node;
  }

  function fields(schema, prefix) {
    var must = schema.required || [];
    var rows = Object.keys(schema.properties || {}).map(function (name) {
      var of = schema.properties[name];
      return [el('code', must.indexOf(name) >= 0 ? { class: 'must' } : {}, name), typeOf(of, prefix), of.description || ''];
    });
    return rows.length ? table(['field', 'type', 'meaning'], rows) : typeOf(schema, prefix);
  }

  function schemas(all, prefix, title) {
    main.append(heading(2, prefix + 'schemas', title));
    Object.keys(all).sort().forEach(function (name) {
      main.append(heading(3, prefix + name, name), fields(all[name], prefix));
    });
  }

  function operation(path, method, op) {
    main.append(el('h3', { id: op.operationId }, el('span', { class: 'method' }, method.toUpperCase()), el('code', {}, path)));
    main.append(el('p', {}, op.summary || ''));
    if (op.description) main.append(prose(op.description));
    if (op.security) main.append(el('p', {}, 'Authorization: Bearer, or the station’s cookie.'));
    if (op.parameters && op.parameters.length) {
      main.append(table(['parameter', 'in', 'type', 'meaning'], op.parameters.map(function (p) {
        return [el('code', p.required ? { class: 'must' } : {}, p.name), p.in, typeOf(p.schema, 'schema-'), p.description || ''];
      })));
    }
    var body = op.requestBody && op.requestBody.content['application/json'];
    if (body && body.schema.oneOf) {
      body.schema.oneOf.forEach(function (s) {
        var more = el('details', {}, el('summary', {}, el('code', {}, s.title || '')), fields(s, 'schema-'));
        main.append(more);
      });
    } else if (body) main.append(el('p', {}, 'body: ', typeOf(body.schema, 'schema-')));
    var answers = Object.keys(op.responses || {}).map(function (status) {
      var answer = op.responses[status];
      var kinds = Object.keys(answer.content || {});
      return [status, kinds.length ? typeOf(answer.content[kinds[0]].schema, 'schema-') : '', answer.description || ''];
    });
    main.append(table(['status', 'body', ''], answers));
  }

  function routes(doc) {
    main.append(heading(2, 'about', doc.info.title + ' ' + doc.info.version));
    main.append(el('p', {}, doc.info.description || ''));
    var tags = {};
    Object.keys(doc.paths).forEach(function (path) {
      Object.keys(doc.paths[path]).forEach(function (method) {
        var op = doc.paths[path][method];
        var tag = (op.tags || ['other'])[0];
        (tags[tag] = tags[tag] || []).push([path, method, op]);
      });
    });
    Object.keys(tags).sort().forEach(function (tag) {
      main.append(heading(2, 'tag-' + tag, tag));
      tags[tag].forEach(function (row) { operation(row[0], row[1], row[2]); });
    });
  }

  function frames(doc, title, id, operationName) {
    main.append(heading(2, id, title));
    doc.operations[operationName].messages.forEach(function (r) {
      var message = doc.components.messages[nameOf(r.$ref)];
      main.append(heading(3, 'frame-' + message.name, message.name), prose(message.summary));
      main.append(fields(doc.components.schemas[nameOf(message.payload.$ref)], 'live-'));
    });
  }

  function live(doc) {
    var channel = doc.channels.live;
    main.append(heading(2, 'live', 'Live link: websocket ' + channel.address));
    main.append(prose(channel.description));
    main.append(table(['close code', 'reason'], channel['x-close-codes'].map(function (c) { return [String(c.code), c.reason]; })));
    frames(doc, 'Frames from the client', 'live-client', 'fromClient');
    frames(doc, 'Frames from the server', 'live-server', 'fromServer');
    schemas(doc.components.schemas, 'live-', 'Schemas of the frames');
  }

  function read(path) {
    return fetch(path).then(function (r) {
      if (!r.ok) throw new Error(path + ': ' + r.status);
      return r.json();
    });
  }

  Promise.all([read('/openapi.json'), read('/asyncapi.json')]).then(function (docs) {
    main.textContent = '';
    routes(docs[0]);
    live(docs[1]);
    schemas(docs[0].components.schemas, 'schema-', 'Schemas of the routes');
    main.setAttribute('aria-busy', 'false');
    var at = location.hash && document.getElementById(location.hash.slice(1));
    if (at) at.scrollIntoView();
  }).catch(function (err) {
    main.textContent = '读取失败 Could not read the descriptions: ' + err.message;
    main.setAttribute('aria-busy', 'false');
  });
})();
