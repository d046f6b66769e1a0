// Prism as a server that answers from a document and says of each request
// whether the document allows it.
//
//     NODE_PATH=<node_modules with Prism> node judge.cjs openapi.json
//
// The first line that it prints is its address. When its input ends it prints
// a line of JSON, the judgement of each request in the order of their arrival,
// and stops.
//
// Prism's own command is not used: printing its list of operations it renames
// `page[size]` to `page%5Bsize%5D`, and never looks at that parameter again.
'use strict';
const fs = require('node:fs');
const { createLogger } = require('@stoplight/prism-core');
const { getHttpOperationsFromSpec } = require('@stoplight/prism-http');
const { default: mock } = require('@stoplight/prism-http/dist/mocker');
const { default: route } = require('@stoplight/prism-http/dist/router');
const { createServer } = require('@stoplight/prism-http-server');

const judged = [];

// Finds no operation for what has none; Prism answers it with 404 or 405.
function judgedRoute(asked) {
    const found = route(asked);
    if (found._tag === 'Left') record(asked.input, null, [found.left.message]);
    return found;
}

// Answers as if the request were valid, so that the caller reads an example.
function judgedMock(asked) {
    const { data, validations } = asked.input;
    const complaints = validations.map(found => found.message);
    const query = asked.resource.request?.query ?? [];
    for (const name of Object.keys(data.url.query)) {
        if (!query.some(known => known.name === name)) {
            complaints.push(`Request query parameter ${name} is not in the document`);
        }
    }
    record(data, asked.resource.iid, complaints);
    return mock({ ...asked, input: { data, validations: [] } });
}

function record({ method, url, headers, body }, operation, complaints) {
    const query = Object.keys(url.query);
    judged.push({ method, path: url.path, operation, complaints, query, headers, body });
}

// A schema for an object takes any field more, unless it says otherwise. Here
// it says so, for each object of a body that is sent.
function close(document, schema, seen = new Set()) {
    const name = schema.$ref?.split('/').pop();
    const target = name ? document.components.schemas[name] : schema;
    if (seen.has(target)) return;
    seen.add(target);
    if (target.properties) target.additionalProperties ??= false;
    const parts = [target.items, ...Object.values(target.properties ?? {})];
    for (const part of parts.concat(target.allOf, target.oneOf, target.anyOf)) {
        if (part) close(document, part, seen);
    }
}

async function main() {
    const document = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
    for (const path of Object.values(document.paths)) {
        for (const operation of Object.values(path)) {
            for (const media of Object.values(operation.requestBody?.content ?? {})) {
                close(document, media.schema);
            }
        }
    }
    const server = createServer(await getHttpOperationsFromSpec(document), {
        cors: false,
        config: {
            checkSecurity: true,
            validateRequest: true,
            validateResponse: false,
            errors: false,
            isProxy: false,
            mock: { dynamic: false },
        },
        components: {
            logger: createLogger('judge', { level: 'silent' }),
            route: judgedRoute,
            mock: judgedMock,
        },
    });
    process.stdin.on('end', () => {
        process.stdout.write(`${JSON.stringify(judged)}\n`, () => process.exit(0));
    });
    process.stdin.resume();
    console.log(await server.listen(0, '127.0.0.1'));
}

main();
