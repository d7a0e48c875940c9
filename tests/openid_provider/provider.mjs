// A provider on a free port of this machine. It is told what to do in lines of JSON on its standard input, and says when it is done:
//   {"client": {...}}   a client's metadata      {"people": {"ana": {...}}}   claims by login
//   {"rotate": true}    sign with another key from now on, and publish that one alone
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import { Provider } from 'oidc-provider';

const clients = new Map();
const people = new Map();
const kept = new Map();

class Adapter {
  constructor(kind) {
    this.kind = kind;
  }

  key(id) {
    return `${this.kind}:${id}`;
  }

  async upsert(id, payload) {
    kept.set(this.key(id), payload);
  }

  async find(id) {
    return this.kind === 'Client' ? clients.get(id) : kept.get(this.key(id));
  }

  async findByUid(uid) {
    return [...kept].find(([key, one]) => key.startsWith(`${this.kind}:`) && one.uid === uid)?.[1];
  }

  async findByUserCode() {
    return undefined;
  }

  async consume(id) {
    kept.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    kept.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    for (const [key, one] of kept) if (one.grantId === grantId) kept.delete(key);
  }
}

function signingKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: randomUUID() };
}

const secrets = [randomUUID()];
let answer;

function renew() {
  const provider = new Provider(issuer, {
    adapter: Adapter,
    jwks: { keys: [signingKey()] },
    cookies: { keys: secrets },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    scopes: ['openid', 'email', 'profile', 'groups'],
    features: { backchannelLogout: { enabled: true } },
    // Without what keeps it from asking this machine itself.
    fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
    async findAccount(context, id) {
      const told = people.get(id) ?? { email: `${id}@example.org`, email_verified: true, name: id };
      return { accountId: id, claims: async () => ({ sub: id, ...told }) };
    },
  });
  answer = provider.callback();
}

const server = createServer((request, response) => answer(request, response));
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${server.address().port}`;
renew();
console.log(`ready ${issuer}`);

for await (const line of createInterface({ input: process.stdin })) {
  const told = JSON.parse(line);
  if (told.client) clients.set(told.client.client_id, told.client);
  for (const [login, claims] of Object.entries(told.people ?? {})) people.set(login, claims);
  if (told.rotate) renew();
  console.log('done');
}
process.exit();
