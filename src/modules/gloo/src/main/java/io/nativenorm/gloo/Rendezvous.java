package io.nativenorm.gloo;

import java.io.Closeable;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;

/**
 * Where workers find each other, once: rank 0 listens, the others come to it, and each is told
 * where all others expect it. PyTorch's store does so too, but waits up to three times as long as
 * it was told, names nobody and prints the stack of the process each time it tries.
 */
interface Rendezvous extends Closeable {
  /** What a worker says first; who does not is none of them. */
  int WORKER = 0x4e4e4731;

  /** Of Gloo's, in bytes. */
  int LONGEST_ADDRESS = 1024;

  static Rendezvous open(String host, int port, int rank, int size, long millis) {
    return rank == 0
        ? new HostRendezvous(host, port, size, millis)
        : new GuestRendezvous(host, port, rank, size, millis);
  }

  /** Of this machine the address on the way to the others. */
  InetAddress address();

  /** Where rank 0 listens. */
  int port();

  /**
   * Waits for all.
   *
   * @param mine where this worker expects each other one
   * @return where they expect it
   */
  byte[][] meet(byte[][] mine);

  static void write(byte[][] addresses, DataOutputStream to) throws IOException {
    for (byte[] address : addresses) {
      to.writeInt(address.length);
      to.write(address);
    }
  }

  static byte[][] read(int size, DataInputStream from) throws IOException {
    byte[][] addresses = new byte[size][];
    for (int i = 0; i < size; i++) {
      int length = from.readInt();
      if (length < 0 || length > LONGEST_ADDRESS) {
        throw new IOException("expected an address, but got " + length + " bytes");
      }
      addresses[i] = from.readNBytes(length);
    }
    return addresses;
  }

  static void close(Closeable what) {
    try {
      what.close();
    } catch (IOException nothing) {
      return; // is needed of it any more
    }
  }

  @Override
  void close();
}
