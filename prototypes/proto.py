import sys; sys.path.insert(0,'/tmp/i5')
import numpy as np, re, time
from pathlib import Path
from benchmarks import datasets as d
D=Path('/work/shared/data')
def hashed(texts,bits=14,most=120):
    out=[]
    for t in texts:
        seen=list(dict.fromkeys(re.findall(r"[a-z0-9_]+",t.lower())))[:most]
        out.append(np.unique([hash_(w)&((1<<bits)-1) for w in seen]))
    return out
import zlib
def hash_(w): return zlib.crc32(w.encode())
class Ridge:
    def __init__(s,dim,arms,lam=1.0):
        s.P=[np.eye(dim)/lam for _ in range(arms)]; s.b=[np.zeros(dim) for _ in range(arms)]; s.w=[np.zeros(dim) for _ in range(arms)]
    def predict(s,x): return np.array([w@x for w in s.w])
    def width(s,x): return np.array([np.sqrt(x@P@x) for P in s.P])
    def learn(s,x,a,y):
        P=s.P[a]; Px=P@x; s.w[a]=s.w[a]+Px*((y-s.w[a]@x)/(1+x@Px)); P-=np.outer(Px,Px)/(1+x@Px)
class TokLogit:
    """adagrad logistic per arm on hashed tokens"""
    def __init__(s,arms,bits=14,lr=.1): s.W=np.zeros((arms,1<<bits)); s.G=np.full((arms,1<<bits),1e-3); s.B=np.zeros(arms); s.lr=lr; s.n=np.zeros(arms)
    def predict(s,ix):
        z=s.B+s.W[:,ix].sum(1)/np.sqrt(len(ix)+1); return 1/(1+np.exp(-z))
    def learn(s,ix,a,y):
        k=1/np.sqrt(len(ix)+1); p=1/(1+np.exp(-(s.B[a]+s.W[a,ix].sum()*k))); g=(p-y)
        s.n[a]+=1; s.B[a]-=g*max(.02,1/np.sqrt(s.n[a]))
        s.G[a,ix]+=(g*k)**2; s.W[a,ix]-=s.lr*g*k/np.sqrt(s.G[a,ix])
def squarecb(u,gamma):
    b=u.argmax(); A=len(u); p=1/(A+gamma*(u[b]-u)); p[b]=0; p[b]=1-p.sum(); return p
def epsg(u,eps):
    p=np.full(len(u),eps/len(u)); p[u.argmax()]+=1-eps; return p
def run(task,learner,orders=4,explore=('eps',.1,500)):
    on=[];la=[]
    N=len(task.texts)
    for o in range(orders):
        rng=np.random.default_rng(100+o); order=rng.permutation(N); L=learner(); got=np.empty(N)
        for t,i in enumerate(order):
            u=L.utility(i)
            if explore[0]=='eps': p=epsg(u,explore[1]*np.sqrt(explore[2]/(explore[2]+t)))
            else: p=squarecb(u,explore[1]*(t+1)**explore[2])
            a=rng.choice(len(u),p=p); got[t]=task.utilities[i,a]
            L.learn(i,a,task.successes[i,a],task.utilities[i,a],p[a])
        on.append(got.mean()); la.append(got[N//2:].mean())
    return f"{np.mean(on):.4f}+-{np.std(on):.4f} / {np.mean(la):.4f}"
