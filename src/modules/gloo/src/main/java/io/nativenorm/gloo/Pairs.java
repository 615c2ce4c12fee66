package io.nativenorm.gloo;

import io.nativenorm.NativeNormException;
import java.net.InetAddress;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.chrono.Milliseconds;
import org.bytedeco.pytorch.ByteVector;
import org.bytedeco.pytorch.global.torch_gloo;
import org.bytedeco.pytorch.gloo.Address;
import org.bytedeco.pytorch.gloo.Device;
import org.bytedeco.pytorch.gloo.TransportContext;
import org.bytedeco.pytorch.gloo.attr;

/** This worker's ends of the connections to each other one, until all are made. */
final class Pairs implements AutoCloseable {
  private final int rank;
  private final int size;
  private final long millis;
  private final TransportContext context;

  /** Listens at an address of this machine. */
  Pairs(InetAddress local, int rank, int size, long millis) {
    this.rank = rank;
    this.size = size;
    this.millis = millis;
    try (attr where = new attr(local.getHostAddress());
        Device device = torch_gloo.CreateDevice(where);
        Milliseconds timeout = new Milliseconds(millis)) {
      context = device.createContext(rank, size);
      context.setTimeout(timeout);
    }
  }

  /** Loads Gloo, which takes a second and more: before anybody waits for this worker. */
  static void load() {
    try {
      Loader.load(torch_gloo.class);
    } catch (LinkageError e) {
      throw new NativeNormException(
          "Gloo cannot be loaded: org.bytedeco:pytorch has it for linux-x86_64, macosx-arm64 and"
              + " macosx-x86_64, this is "
              + Loader.getPlatform()
              + ": "
              + e.getMessage());
    }
  }

  TransportContext context() {
    return context;
  }

  /** Where each other worker is expected. */
  byte[][] addresses() {
    byte[][] addresses = new byte[size][0];
    for (int peer = 0; peer < size; peer++) {
      if (peer != rank) {
        try (Address address = context.createPair(peer)._address();
            ByteVector bytes = address.bytes()) {
          addresses[peer] = bytes.get();
        }
      }
    }
    return addresses;
  }

  /** Connects to each where it expects this one. */
  void connect(byte[][] theirs) {
    for (int peer = 0; peer < size; peer++) {
      if (peer != rank) {
        try (ByteVector bytes = new ByteVector(theirs[peer])) {
          context.getPair(peer).connect(bytes);
        } catch (RuntimeException e) {
          String what = "rank " + peer + " was there and could not be connected to within ";
          throw new Failure(peer, what + millis + " ms", e).at(this);
        }
      }
    }
  }

  @Override
  public void close() {
    context.deallocate();
  }

  @Override
  public String toString() {
    return "Gloo exchange, rank " + rank + " of " + size;
  }
}
