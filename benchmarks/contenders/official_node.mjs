// losant-rest for Node.js, with as many chains of calls as there are requests in flight.

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
      const id = (next++ % 1000).toString(16).padStart(24, '0');
      const answer = await client.userApiToken.delete({ apiTokenId: id });
      if (!answer.success) throw new Error('no success');
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
}

await spread(Math.min(200, count));
const clock = performance.now();
const cpu = process.cpuUsage();
await spread(count);
const used = process.cpuUsage(cpu);
console.log(JSON.stringify({
  seconds: (performance.now() - clock) / 1000,
  cpu: (used.user + used.system) / 1e6,
}));
process.exit(0);
