// S3-compatible object storage: the one place that speaks to it.
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { GatewayError } from "./errors.ts";

export type S3Target = {
  readonly bucket: string;
  readonly region: string;
  /** undefined: AWS itself. */
  readonly endpoint: string | undefined;
  /** undefined: as the AWS tools find them (environment, profile, instance). */
  readonly credentials:
    | { readonly accessKeyId: () => Promise<string>; readonly secretAccessKey: () => Promise<string> }
    | undefined;
};
export type S3Location = S3Target & { readonly key: string };

export type StoredObject = { readonly bytes: Uint8Array; readonly etag: string | undefined };
export type GetObject = (
  key: string,
  /** Of the object that one has. */
  etag: string | undefined,
  bounds: { readonly bytesMax: number; readonly signal: AbortSignal },
) => Promise<StoredObject | "unchanged">;
export type PutObject = (
  key: string,
  bytes: Uint8Array,
  options: {
    readonly contentType: string;
    /** Object lock in compliance mode until then: nobody can delete or change it. */
    readonly lockedUntil: Date | undefined;
    readonly signal: AbortSignal;
  },
) => Promise<void>;

/** Rejects with the service's error. */
export function objectGetter(target: S3Target): GetObject {
  const client = clientOf(target);
  return async (key, etag, { bytesMax, signal }) => {
    const command = new GetObjectCommand({
      Bucket: target.bucket,
      Key: key,
      ...(etag === undefined ? {} : { IfNoneMatch: etag }),
    });
    const object = await client.send(command, { abortSignal: signal }).catch((error: unknown) => {
      if (isNotModified(error)) return "unchanged" as const;
      throw error;
    });
    if (object === "unchanged") return object;
    if (object.Body === undefined) throw new GatewayError("bundle-refused", "the object is empty");
    if ((object.ContentLength ?? 0) > bytesMax) {
      throw new GatewayError("bundle-refused", `the object is longer than ${bytesMax} bytes`);
    }
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of object.Body.transformToWebStream()) {
      size += chunk.length;
      if (size > bytesMax) throw new GatewayError("bundle-refused", `the object is longer than ${bytesMax} bytes`);
      chunks.push(chunk);
    }
    return { bytes: Buffer.concat(chunks), etag: object.ETag };
  };
}

/** Rejects with the service's error. */
export function objectPutter(target: S3Target): PutObject {
  const client = clientOf(target);
  return async (key, bytes, { contentType, lockedUntil, signal }) => {
    const lock =
      lockedUntil === undefined
        ? {}
        : { ObjectLockMode: "COMPLIANCE" as const, ObjectLockRetainUntilDate: lockedUntil };
    const command = new PutObjectCommand({
      Bucket: target.bucket,
      Key: key,
      Body: bytes,
      ContentType: contentType,
      ...lock,
    });
    await client.send(command, { abortSignal: signal });
  };
}

function clientOf({ region, endpoint, credentials }: S3Target): S3Client {
  return new S3Client({
    region,
    maxAttempts: 2,
    // Path style: what S3-compatible stores answer to.
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(credentials === undefined
      ? {}
      : {
          credentials: async () => ({
            accessKeyId: await credentials.accessKeyId(),
            secretAccessKey: await credentials.secretAccessKey(),
            // Asked for again: a rotated secret needs no restart.
            expiration: new Date(Date.now() + 300_000),
          }),
        }),
  });
}

function isNotModified(error: unknown): boolean {
  const metadata: unknown = error instanceof Error && "$metadata" in error ? error.$metadata : undefined;
  return typeof metadata === "object" && metadata !== null && Reflect.get(metadata, "httpStatusCode") === 304;
}
