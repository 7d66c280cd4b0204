// The smallest question to a Kafka broker, asked without a client library: who is in the cluster?
import { connect } from 'node:net';

const metadataRequest = Buffer.from([
  ...[0, 0, 0, 14], // length of what follows
  ...[0, 3, 0, 1], // Metadata, version 1
  ...[0, 0, 0, 1], // correlation id
  ...[255, 255], // no client id
  ...[0, 0, 0, 0], // about no topic
]);

/** How many brokers the cluster at this port has unfenced: 0 while it starts. Rejects when nobody answers in time. */
export function fetchBrokerCount(port: number, timeoutMs = 2000): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port });
    let answer = Buffer.alloc(0);
    const fail = (error?: Error) => {
      socket.destroy();
      reject(error ?? new Error('the broker closed the connection'));
    };
    socket.setTimeout(timeoutMs, () => fail(new Error('the broker did not answer')));
    socket.once('error', fail);
    socket.once('close', () => fail());
    socket.once('connect', () => socket.write(metadataRequest));
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk]);
      // Length, correlation id, then the number of brokers, each four bytes.
      if (answer.length < 12) return;
      resolve(answer.readInt32BE(8));
      socket.destroy();
    });
  });
}
