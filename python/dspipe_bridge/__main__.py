import sys, os, json, socket, threading, time, argparse
def main():
    p=argparse.ArgumentParser(); p.add_argument("cmd"); p.add_argument("--model"); p.add_argument("--state-dir"); p.add_argument("--idle-seconds", type=float)
    a=p.parse_args(); os.setsid()
    s=socket.create_server(("127.0.0.1",0)); n=0; last=time.monotonic()+20
    lock=threading.Lock()
    path=os.path.join(a.state_dir,"server.json")
    mine=json.dumps({"protocol":1,"pid":os.getpid(),"control_port":s.getsockname()[1],"base_url":"http://127.0.0.1:%d/v1"%s.getsockname()[1],"token":"tok%d"%os.getpid(),"model":a.model})
    open(path+".t","w").write(mine); os.replace(path+".t",path)
    print('{"ready":true}',flush=True)
    def serve(c):
        nonlocal n,last
        f=c.makefile("rwb"); l=json.loads(f.readline())
        f.write(b'{"ok":true}\n'); f.flush()
        with lock: n+=1
        f.read()
        with lock: n-=1; last=time.monotonic()+a.idle_seconds
    def acc():
        while True:
            c,_=s.accept(); threading.Thread(target=serve,args=(c,),daemon=True).start()
    threading.Thread(target=acc,daemon=True).start()
    while True:
        time.sleep(.05)
        if n==0 and time.monotonic()>last: break
    try:
        if open(path).read()==mine: os.remove(path)
    except OSError: pass
main()
