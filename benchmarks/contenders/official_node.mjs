// losant-rest for Node.js, with one chain of calls for each request in flight.

import { createRequire } from 'node:module';

const require = createRequire(`${process.env.NODE_FOLDER}/`);
const api = require('losant-rest');

const [url, countText, concurrencyText] = process.argv.slice(2);
const count = Number(countText);
const concurrency = Number(concurrencyText);
const client = api.createClient({ accessToken: 'token', url });

async function spread(total) {
  let next = 0;
  const work = async () => {
    while (next < total) {
      const id = (next++).toString(16).padStart(24, '0');
      const response = await client.userApiToken.delete({ apiTokenId: id });
      if (!response.success) throw new Error('the response is not a success');
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
}

await spread(Math.min(count, Math.max(200, 2 * concurrency)));
const clock = performance.now();
const cpu = process.cpuUsage();
await spread(count);
const used = process.cpuUsage(cpu);
console.log(JSON.stringify({
  rate: count / (performance.now() - clock) * 1000,
  cpu: (used.user + used.system) / 1000 / count,
}));
process.exit(0);
