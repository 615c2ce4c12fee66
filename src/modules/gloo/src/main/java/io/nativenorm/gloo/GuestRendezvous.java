package io.nativenorm.gloo;

import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;

/** That of who comes to rank 0. */
final class GuestRendezvous implements Rendezvous {
  /** After which rank 0 is tried again. */
  private static final int RETRY_MILLIS = 20;

  /** On the way, beyond the time that rank 0 waits. */
  private static final int WAY_MILLIS = 1000;

  private final int rank;
  private final int size;
  private final Socket socket;

  /** Waits until rank 0 is there. */
  GuestRendezvous(String host, int port, int rank, int size, long millis) {
    this.rank = rank;
    this.size = size;
    socket = reach(host, port, millis);
  }

  private Socket reach(String host, int port, long millis) {
    long deadline = System.nanoTime() + millis * 1_000_000;
    while (true) {
      long left = Math.max(1, (deadline - System.nanoTime()) / 1_000_000);
      Socket socket = new Socket();
      try {
        socket.connect(new InetSocketAddress(host, port), Math.toIntExact(left));
        socket.setSoTimeout(Math.toIntExact(millis + WAY_MILLIS));
        return socket;
      } catch (IOException e) {
        Rendezvous.close(socket);
        if (left <= RETRY_MILLIS) {
          String what = "rank 0 was not reached at " + host + ":" + port + " within " + millis;
          throw new Failure(0, what + " ms", e).at(this);
        }
        sleep(e);
      }
    }
  }

  private void sleep(IOException e) {
    try {
      Thread.sleep(RETRY_MILLIS);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw new Failure(rank, "rank " + rank + " was interrupted", e).at(this);
    }
  }

  @Override
  public InetAddress address() {
    return socket.getLocalAddress();
  }

  @Override
  public int port() {
    return socket.getPort();
  }

  @Override
  public byte[][] meet(byte[][] mine) {
    try {
      DataOutputStream to =
          new DataOutputStream(new BufferedOutputStream(socket.getOutputStream()));
      to.writeInt(WORKER);
      to.writeInt(rank);
      to.writeInt(size);
      Rendezvous.write(mine, to);
      to.flush();
      DataInputStream from = new DataInputStream(socket.getInputStream());
      if (from.readBoolean()) {
        return Rendezvous.read(size, from);
      }
      throw new Failure(from.readInt(), from.readUTF(), null).at(this);
    } catch (SocketTimeoutException e) {
      throw new Failure(0, "rank 0 did not say whether all have come", e).at(this);
    } catch (IOException e) {
      throw new Failure(0, "rank 0 has died while it waited for all to come", e).at(this);
    }
  }

  @Override
  public void close() {
    Rendezvous.close(socket);
  }

  @Override
  public String toString() {
    return "Gloo exchange, rank " + rank + " of " + size;
  }
}
