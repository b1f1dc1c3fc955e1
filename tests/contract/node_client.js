// Calls of the official client, one to a line of stdin; what came of each goes to a line of stdout.
const { createClient } = require(process.argv[2]);
const lines = require("readline").createInterface({ input: process.stdin });

(async () => {
  for await (const line of lines) {
    const [url, accessToken, resource, action, params] = JSON.parse(line);
    let outcome;
    try {
      const client = createClient({ url, accessToken });
      // The released version may be older than the API, and lack a resource.
      if (client[resource]) outcome = { result: await client[resource][action](params) };
      else outcome = { missing: resource };
    } catch (error) {
      outcome = { status: error.statusCode, type: error.type, message: error.message };
    }
    process.stdout.write(`${JSON.stringify(outcome)}\n`);
  }
})();
